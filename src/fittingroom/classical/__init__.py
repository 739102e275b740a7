"""Classifiers of scikit-learn, trained as a recipe says and kept without pickle."""
