"""The named recipes of scikit-learn's classifiers, `sklearn:knn` and the others, and what is worth trying of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fittingroom.recipes.recipe import Recipe


@dataclass(frozen=True)
class ClassicalRecipe:
    """A classifier of scikit-learn's by name.

    Args:
        recipe: with its `estimator`.
        summary: a line that says what it is.
    """

    recipe: Recipe
    summary: str


def _entry(name: str, estimator: str, summary: str, features: str = "pixels") -> ClassicalRecipe:
    return ClassicalRecipe(Recipe(name=f"sklearn:{name}", estimator=f"sklearn.{estimator}", features=features), summary)


CLASSICAL_RECIPES: Mapping[str, ClassicalRecipe] = MappingProxyType(
    {
        entry.recipe.name: entry
        for entry in (
            _entry(
                "knn",
                "neighbors:KNeighborsClassifier(n_neighbors=5, weights='distance', algorithm='brute')",
                "The five nearest training images vote, the nearer the more.",
            ),
            _entry(
                "logistic",
                "linear_model:LogisticRegression(C=0.01, max_iter=200)",
                "Softmax regression with an L2 penalty, solved by L-BFGS.",
            ),
            _entry(
                "random-forest",
                "ensemble:RandomForestClassifier(n_estimators=100)",
                "A hundred decision trees, each on a bootstrap sample.",
            ),
        )
    }
)
