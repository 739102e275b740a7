"""What a model says of a picture, and how sure it is: calibration, prediction sets, out-of-distribution images."""
