"""Labs: questions answered by trainings, each with a prediction, a picture and a verdict that is computed."""
