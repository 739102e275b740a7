"""Ctrl-C and SIGTERM in a real process: the first ends training at a good moment, the second at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from fittingroom.engine.callbacks import StopRequest

# The process sends itself signals, as a user or a system would, and says after each training what is left.
TRAIN = """
import json, os, signal
import fittingroom as fr
import keras

def train(number, batch, times):
    class BetweenEpochs(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if batch is None and epoch == 1:
                os.kill(os.getpid(), number)

    class WithinAnEpoch(keras.callbacks.Callback):
        went_on = False

        def on_train_batch_end(self, step, logs=None):
            if self.model.optimizer.iterations == 2 * 11 + batch:
                for _ in range(times):
                    os.kill(os.getpid(), number)
                self.went_on = True

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    callback = BetweenEpochs() if batch is None else WithinAnEpoch()
    try:
        fr.fit(model, x, y, batch_size=4, epochs=1000, callbacks=[callback], verbose=0)
    except KeyboardInterrupt as interrupted:
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
        run = fr.open_run(interrupted.path)
        difference = float(abs(run.predict(x) - model.predict(x, verbose=0)).max())
        went_on = getattr(callback, "went_on", None)
        found = [str(interrupted), run.record.status, run.record.epochs, difference, int(model.optimizer.iterations)]
        print(json.dumps([*found, went_on]), flush=True)
        return interrupted

data = fr.load("digits")
x, y = data.train.x[:44], data.train.y[:44]
model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
for scenario in SCENARIOS:
    model.optimizer.iterations.assign(0)
    interrupted = train(*scenario)
raise interrupted
"""
SCENARIOS = {
    "between epochs": (signal.SIGINT, None, 1),
    "within an epoch": (signal.SIGINT, 5, 1),
    "SIGTERM": (signal.SIGTERM, 5, 1),
    "twice": (signal.SIGINT, 5, 2),
}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A process that was interrupted in each of the ways."""
    scenarios = [(int(number), *rest) for number, *rest in SCENARIOS.values()]
    return subprocess.run(
        [sys.executable, "-c", f"SCENARIOS = {scenarios}\n{TRAIN}"],
        env={**os.environ, "FITTINGROOM_RUNS_DIR": str(tmp_path_factory.mktemp("runs"))},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_finished_epochs_are_a_run_and_the_model_has_the_steps_that_were_done(
    scenario: str, process: subprocess.CompletedProcess[str]
) -> None:
    line = process.stdout.splitlines()[list(SCENARIOS).index(scenario)]
    message, status, epochs, difference, steps, went_on = json.loads(line)
    reason = "asked to end by SIGTERM" if scenario == "SIGTERM" else "interrupted by Ctrl-C"
    assert message.startswith(f"{reason}; the 2 finished epochs are kept in ")
    assert (status, epochs) == ("interrupted", 2)
    assert steps == (2 * 11 if scenario == "between epochs" else 2 * 11 + 5)  # as Keras leaves the model
    assert (difference > 1e-6) == (steps > 2 * 11)
    # The first signal lets the batch end; the second does not wait for it.
    assert went_on is {"between epochs": None, "twice": False}.get(scenario, True)


def test_a_script_that_catches_nothing_ends_by_it(process: subprocess.CompletedProcess[str]) -> None:
    assert process.returncode != 0
    last = process.stderr.strip().splitlines()[-1]
    assert last.startswith("fittingroom.errors.Interrupted: interrupted by Ctrl-C; the 2 finished epochs are kept in")


def test_signals_act_as_before_when_training_is_over() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequest().listening() as request:
        assert signal.getsignal(signal.SIGINT) == request.receive
        assert not request
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_in_another_thread_signals_are_left_alone() -> None:
    handlers = []

    def train() -> None:
        with StopRequest().listening() as request:
            handlers.append((signal.getsignal(signal.SIGINT), bool(request)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert handlers == [(before, False)]
