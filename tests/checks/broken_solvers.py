"""Mistakes in solvers."""

from tests.checks.broken import SOLVER, Broken

# fmt: off
BROKEN = [
    Broken("no net", SOLVER, 'net: "net.prototxt"\n', "", "", "it names no net to train", 'add `net: "train_val.prototxt"`'),
    Broken("a net that is not there", SOLVER, '"net.prototxt"', '"nets.prototxt"', "", "net 'nets.prototxt': there is no such file",
           "relative to the working directory"),
    Broken("two nets", SOLVER, "base_lr", 'train_net: "net.prototxt"\nbase_lr', "", "two nets to train, net and train_net", "leave one"),
    Broken("a test net without test_iter", SOLVER, "test_iter: 3", 'test_net: "net.prototxt"', "", "test_iter is given 0 times, for 1 test net",
           "once for each test net", at="net:"),
    Broken("test_iter without test_interval", SOLVER, "test_interval: 10\n", "", "", "test_iter without test_interval", "add `test_interval: N`",
           at="test_iter"),
    Broken("test_interval without test_iter", SOLVER, "test_iter: 3\n", "", "", "test_interval without test_iter", "add `test_iter: N`",
           level="warning"),
    Broken("a test state too many", SOLVER, "base_lr", 'test_state { stage: "a" }\ntest_state { stage: "b" }\nbase_lr', "",
           "test_state is given 2 times, for 1 test net", "once for each", at='test_state { stage: "b"'),
    Broken("unknown field", SOLVER, "base_lr", "base_lr_mult: 2\nbase_lr", "", "unknown field 'base_lr_mult'", "did you mean 'base_lr'?"),
    Broken("unknown solver type", SOLVER, "base_lr", 'type: "adam"\nbase_lr', "", "unknown solver type 'adam'", "did you mean 'Adam'?"),
    Broken("two solver types", SOLVER, "base_lr", 'solver_type: ADAM\ntype: "Adam"\nbase_lr', "", "type and solver_type are both given",
           "leave out solver_type"),
    Broken("unknown lr_policy", SOLVER, '"step"', '"steps"', "", "unknown lr_policy 'steps'", "did you mean 'step'?"),
    Broken("no lr_policy", SOLVER, 'lr_policy: "step"\n', "", "", "it has no lr_policy", 'add `lr_policy: "fixed"`', at="net:"),
    Broken("a policy without its numbers", SOLVER, "stepsize: 100\n", "", "", "lr_policy 'step' needs stepsize", "add `stepsize: ...`",
           at="lr_policy"),
    Broken("steps out of order", SOLVER, '"step"\nstepsize: 100', '"multistep"\nstepvalue: 200\nstepvalue: 100', "",
           "stepvalues [200, 100] do not rise", "put them in order", at="stepvalue: 100"),
    Broken("no base_lr", SOLVER, "base_lr: 0.01\n", "", "", "base_lr is 0 or not given", "add `base_lr: 0.01`", at="net:"),
    Broken("no max_iter", SOLVER, "max_iter: 300\n", "", "", "max_iter is 0 or not given", "add `max_iter: N`", at="net:"),
    Broken("a folder for snapshots", SOLVER, '"snapshots/net"', '"snapshot/net"', "", "there is no folder 'snapshot'", "mkdir -p snapshot"),
    Broken("no prefix for snapshots", SOLVER, 'snapshot_prefix: "snapshots/net"\n', "", "", "no snapshot_prefix: snapshots are named solver_iter_N",
           "for another place", level="note", at="snapshot: 100"),
    Broken("an enum of solvers", SOLVER, "solver_mode: CPU", "solver_mode: cpu", "", "field 'solver_mode' is cpu", "did you mean 'CPU'?"),
    Broken("iter_size of 0", SOLVER, "max_iter", "iter_size: 0\nmax_iter", "", "iter_size is 0", "at least 1"),
]
