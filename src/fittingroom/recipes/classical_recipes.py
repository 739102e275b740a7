"""The named recipes of scikit-learn's classifiers, `sklearn:knn` and the others, and what is worth trying of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fittingroom.recipes.recipe import Recipe


@dataclass(frozen=True)
class ClassicalRecipe:
    """A classifier of scikit-learn's by name.

    Args:
        recipe: with its `estimator`.
        summary: a line that says what it is.
        trials: other texts of its `estimator` that are worth trying, the likeliest first.
    """

    recipe: Recipe
    summary: str
    trials: tuple[str, ...]


def _entry(
    name: str, estimator: str, usual: Sequence[Any], others: Sequence[Sequence[Any]], summary: str
) -> ClassicalRecipe:
    """A recipe, whose estimator is a text with places for settings: the usual ones, and others to try."""
    texts = [f"sklearn.{estimator.format(*values)}" for values in (usual, *others)]
    features = "hog" if name.startswith("hog") else "pixels"
    recipe = Recipe(name=f"sklearn:{name}", estimator=texts[0], features=features)
    return ClassicalRecipe(recipe, summary, tuple(texts[1:]))


_ENTRIES = (
    _entry(
        "knn",
        "neighbors:KNeighborsClassifier(n_neighbors={}, weights='distance', algorithm='brute')",
        (5,),
        ((3,), (9,), (1,), (15,), (30,)),
        "The five nearest training images vote, the nearer the more.",
    ),
    _entry(
        "logistic",
        "linear_model:LogisticRegression(C={}, max_iter=200)",
        (0.1,),
        ((1.0,), (0.01,), (10.0,), (0.001,)),
        "Softmax regression with an L2 penalty, solved by L-BFGS.",
    ),
    _entry(
        "linear-svc",
        "svm:LinearSVC(C={}, dual=False, tol=0.01)",
        (0.01,),
        ((0.1,), (0.001,), (1.0,)),
        "A linear support vector machine for each class against the others.",
    ),
    _entry(
        "svc",
        "svm:SVC(C={}, gamma={}, cache_size=1000, break_ties=True)",
        (10, "'scale'"),
        ((3, 0.02), (10, 0.02), (30, "'scale'"), (3, "'scale'"), (10, 0.04), (1, "'scale'")),
        "Support vector machines with Gaussian kernels, one for each pair of classes.",
    ),
    _entry(
        "random-forest",
        "ensemble:RandomForestClassifier(n_estimators={}, max_features={}, min_samples_leaf={})",
        (100, "'sqrt'", 1),
        ((100, 0.1, 1), (200, "'sqrt'", 1), (100, "'sqrt'", 2), (100, 0.2, 1), (100, "'log2'", 1)),
        "A hundred decision trees, each on a bootstrap sample.",
    ),
    _entry(
        "extra-trees",
        "ensemble:ExtraTreesClassifier(n_estimators={}, max_features={}, min_samples_leaf={})",
        (100, "'sqrt'", 1),
        ((100, 0.1, 1), (200, "'sqrt'", 1), (100, 0.2, 1), (100, "'sqrt'", 2)),
        "A hundred decision trees that split at random thresholds.",
    ),
    _entry(
        "hist-gradient-boosting",
        "ensemble:HistGradientBoostingClassifier(max_iter={}, learning_rate={}, max_leaf_nodes={}, max_features={}, "
        "early_stopping=False)",
        (60, 0.1, 31, 0.2),
        ((60, 0.2, 31, 0.2), (120, 0.1, 31, 0.2), (60, 0.1, 15, 0.2), (60, 0.05, 31, 0.2), (60, 0.1, 31, 1.0)),
        "Sixty rounds of boosted trees, one tree for each class, on pixels in 255 bins.",
    ),
    _entry(
        "naive-bayes",
        "naive_bayes:GaussianNB(var_smoothing={})",
        (0.01,),
        ((0.1,), (0.001,), (1.0,), (1e-9,)),
        "Every pixel a normal distribution of its own in each class, as if they were independent.",
    ),
    _entry(
        "decision-tree",
        "tree:DecisionTreeClassifier(min_samples_leaf={}, max_depth={}, criterion={})",
        (5, "None", "'gini'"),
        (
            (10, "None", "'gini'"),
            (5, "None", "'entropy'"),
            (1, "None", "'gini'"),
            (5, 10, "'gini'"),
            (20, 15, "'gini'"),
        ),
        "One decision tree with five training images in each leaf at least.",
    ),
    _entry(
        "lda",
        "discriminant_analysis:LinearDiscriminantAnalysis(solver='lsqr', shrinkage={})",
        (0.1,),
        ((0.01,), (0.3,), (0.001,), (0.7,)),
        "Linear discriminant analysis: one normal distribution per class with a shared, shrunk covariance.",
    ),
    _entry(
        "qda",
        "discriminant_analysis:QuadraticDiscriminantAnalysis(solver='eigen', shrinkage={})",
        (0.1,),
        ((0.03,), (0.3,), (0.01,), (0.6,)),
        "Quadratic discriminant analysis: a normal distribution per class with a shrunk covariance of its own.",
    ),
    _entry(
        "mlp",
        "neural_network:MLPClassifier(hidden_layer_sizes={}, alpha={}, batch_size=200, max_iter={})",
        ("(100,)", 0.0001, 30),
        (("(100,)", 0.01, 30), ("(256,)", 0.0001, 30), ("(100,)", 0.1, 30), ("(100, 100)", 0.0001, 30)),
        "Scikit-learn's own network of 100 ReLU neurons, for 30 epochs of Adam.",
    ),
    _entry(
        "hog-linear-svc",
        "svm:LinearSVC(C={}, dual=False, tol=0.01)",
        (0.1,),
        ((0.03,), (0.3,), (1.0,)),
        "A linear support vector machine on histograms of oriented gradients.",
    ),
    _entry(
        "hog-svc",
        "svm:SVC(C={}, gamma={}, cache_size=1000, break_ties=True)",
        (10, "'scale'"),
        ((3, "'scale'"), (30, "'scale'"), (10, 0.5), (10, 2.0)),
        "Support vector machines with Gaussian kernels on histograms of oriented gradients.",
    ),
)

CLASSICAL_RECIPES: Mapping[str, ClassicalRecipe] = MappingProxyType({entry.recipe.name: entry for entry in _ENTRIES})

# What is tried of a network, as factors of its own settings, then as settings.
_NETWORK: tuple[Mapping[str, Any], ...] = (
    {"learning_rate": 3.0},
    {"learning_rate": 1 / 3},
    {"epochs": 2.0},
    {"learning_rate": 1 / 3, "epochs": 2.0},
    {"batch_size": 4.0, "learning_rate": 3.0},
    {"learning_rate": 10.0},
    {"batch_size": 4.0},
)


def search_space(recipe: Recipe) -> tuple[dict[str, Any], ...]:
    """The settings that are worth trying besides a recipe's own, the likeliest first: the same for every dataset.

    They are few and fixed, so that as many trials of every method are compared. Of a named classical recipe they are
    other texts of its estimator; of a network, other learning rates, epochs and batch sizes; of an estimator of one's
    own there are none.

    Args:
        recipe: named or one's own.
    """
    for entry in CLASSICAL_RECIPES.values():
        if entry.recipe.digest() == recipe.digest():
            return tuple({"estimator": text} for text in entry.trials)
    if recipe.estimator is not None or recipe.model is not None:
        return ()
    tried = [{key: _scaled(getattr(recipe, key), factor) for key, factor in one.items()} for one in _NETWORK]
    return tuple(one for one in tried if recipe.changed(**one) != recipe)


def _scaled(value: float, factor: float) -> float:
    """A setting times a factor: a whole number stays one, and a rate has two digits."""
    if isinstance(value, int):
        return max(1, round(value * factor))
    return float(f"{value * factor:.2g}")
