"""What scores mean: accuracy with its interval, loss, and what happened class by class.

Works on labels, predictions and probabilities; never trains.
"""
