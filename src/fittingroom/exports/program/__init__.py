"""What the exported folder's program needs in place of OpenCV and Pillow: the same functions in NumPy alone."""
