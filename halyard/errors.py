"""Every error that Halyard raises on purpose, in one tree, named for the boundary that was crossed.

    HalyardError            anything below; str() of it is a sentence for the user
    ├─ ConfigError          the recipe, an override or a command line is wrong        exit 2
    ├─ DataError            a data set, a row or an image is wrong                    exit 2
    ├─ PlacementError       the machine or cluster cannot hold what was asked         exit 2
    ├─ SnapshotError        a model folder, snapshot or checkpoint is wrong           exit 2
    ├─ RewardError          a reward could not be loaded, or too many verdicts failed exit 1
    ├─ EngineError          an engine died, or broke its contract                     exit 1
    │  └─ RequestError      a request is none that an engine can take                 exit 1
    ├─ LearnerError         a learner failed, or its loss is not a number             exit 1
    │  └─ LearnerLostError  a learner's process is gone; another one can go on        exit 1
    ├─ DeadlineError        a wait with a name took longer than it may                exit 1
    ├─ PreflightError       the run would have trained blind                          exit 1
    └─ Interrupted          the user asked to stop; the run can be resumed            exit 130

Rules for adding one: name the boundary, not the cause; take a single message, so that it can be
pickled (Ray hides a cause that cannot); say what, where, what was found, what was expected, what to do.
"""

from __future__ import annotations


class HalyardError(Exception):
    """Base of all errors that Halyard raises on purpose; `exit_code` is what the command ends with."""

    exit_code = 1


class ConfigError(HalyardError):
    """The recipe, an override or a command line is wrong."""

    exit_code = 2


class DataError(HalyardError):
    """A data set, a row or an image is wrong."""

    exit_code = 2


class PlacementError(HalyardError):
    """The machine or the cluster cannot hold what the recipe asks for."""

    exit_code = 2


class SnapshotError(HalyardError):
    """A model folder, a snapshot or a checkpoint is missing, incomplete or damaged."""

    exit_code = 2


class RewardError(HalyardError):
    """A reward could not be loaded, broke its contract, or too many verdicts failed."""


class EngineError(HalyardError):
    """An engine died, or answered something that it must not."""


class RequestError(EngineError):
    """A request is none for an engine, which is well: too long for its window, say, or of a form that none can have."""


class LearnerError(HalyardError):
    """A learner rank failed, or its loss or gradient is not a finite number."""


class LearnerLostError(LearnerError):
    """A learner rank's process is gone, or broke off in the midst of work with others: a new learner can go on."""


class DeadlineError(HalyardError):
    """A wait with a name took longer than it may; the message says what was awaited."""


class PreflightError(HalyardError):
    """The checks before the first step found that the run would train blind."""


class Interrupted(HalyardError):
    """The user asked to stop; what was done is on disk and the run can be resumed."""

    exit_code = 130
