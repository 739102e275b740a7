# The public names, each once and with its module. Type checkers read them here, and so does `__init__.py`.

from fittingroom.answers.forward import Forward as Forward
from fittingroom.answers.judgement import Answer as Answer
from fittingroom.answers.predictor import Predictor as Predictor
from fittingroom.api.accelerate import Acceleration as Acceleration
from fittingroom.api.accelerate import accelerate as accelerate
from fittingroom.api.audited import Audit as Audit
from fittingroom.api.audited import AuditInterrupted as AuditInterrupted
from fittingroom.api.audits import audit as audit
from fittingroom.api.cards import Card as Card
from fittingroom.api.corrupted_runs import compare_corrupted as compare_corrupted
from fittingroom.api.exports import Export as Export
from fittingroom.api.fit import fit as fit
from fittingroom.api.fitted import FittedRun as FittedRun
from fittingroom.api.look_cost import LookCost as LookCost
from fittingroom.api.open_runs import compare as compare
from fittingroom.api.open_runs import leaderboard as leaderboard
from fittingroom.api.open_runs import open_run as open_run
from fittingroom.api.open_runs import report as report
from fittingroom.api.openings import load as load
from fittingroom.api.run import Run as Run
from fittingroom.api.train import resume as resume
from fittingroom.api.train import train as train
from fittingroom.audits.check import CheckResult as CheckResult
from fittingroom.audits.check import Finding as Finding
from fittingroom.audits.robust_comparison import RobustComparison as RobustComparison
from fittingroom.backbones.backbone import backbone as backbone
from fittingroom.data.dataset import Dataset as Dataset
from fittingroom.data.dataset import Part as Part
from fittingroom.data.dataset import SealedTestSet as SealedTestSet
from fittingroom.errors import DataError as DataError
from fittingroom.errors import DatasetNotFoundError as DatasetNotFoundError
from fittingroom.errors import DivergedError as DivergedError
from fittingroom.errors import FittingRoomError as FittingRoomError
from fittingroom.errors import InputError as InputError
from fittingroom.errors import Interrupted as Interrupted
from fittingroom.errors import LabelRangeError as LabelRangeError
from fittingroom.errors import ModelError as ModelError
from fittingroom.errors import RecipeError as RecipeError
from fittingroom.errors import RunError as RunError
from fittingroom.errors import StorageError as StorageError
from fittingroom.errors import UnknownNameError as UnknownNameError
from fittingroom.evaluation.comparison import Comparison as Comparison
from fittingroom.evaluation.leaderboard import Leaderboard as Leaderboard
from fittingroom.evaluation.leaderboard import Leaderboards as Leaderboards
from fittingroom.evaluation.luck import TestResult as TestResult
from fittingroom.evaluation.scores import Scores as Scores
from fittingroom.evaluation.spread import Spread as Spread
from fittingroom.experiments.benchmark import benchmark as benchmark
from fittingroom.experiments.benchmark_result import Benchmark as Benchmark
from fittingroom.experiments.experiment import Experiment as Experiment
from fittingroom.experiments.experiment import experiment as experiment
from fittingroom.experiments.search import search as search
from fittingroom.experiments.search_result import Search as Search
from fittingroom.labs.lab import LabResult as LabResult
from fittingroom.labs.lab import lab as lab
from fittingroom.photos.conversion import Style as Style
from fittingroom.recipes.recipe import Recipe as Recipe
from fittingroom.reports.facts.explanation import Explanation as Explanation
from fittingroom.reports.pages.document import Report as Report
from fittingroom.runs.history import History as History
from fittingroom.runs.outcomes import Outcomes as Outcomes
from fittingroom.runs.record import RunRecord as RunRecord
from fittingroom.tracking.events import WrittenLog as WrittenLog
from fittingroom.training.recipe_job import Replay as Replay
from fittingroom.training.recipe_job import replay as replay

__all__: list[str]
__version__: str
jax_ran_before_fork: bool

def __dir__() -> list[str]: ...
