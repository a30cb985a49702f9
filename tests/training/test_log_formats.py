"""Logs of all times and forks, line by line, read by `log`."""

import math

import pytest

from caffe_pylayers.commands.log.findings import findings
from caffe_pylayers.commands.log.log import log
from caffe_pylayers.errors import DataError

HEAD = "I0312 10:11:12.123456  4242 solver.cpp:228] "


@pytest.fixture
def read(tmp_path):
    """The runs in a text, or in several as files a.log, b.log, .."""

    def read(*texts):
        paths = [tmp_path / f"{name}.log" for name in "abcd"[: len(texts)]]
        for path, text in zip(paths, texts):
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return log([str(path) for path in paths])

    return read


def numbers(run):
    return {iteration: row.numbers for iteration, row in run.rows.items()}


def lines(*texts, head=HEAD, end="\n"):
    return "".join(head + text + end for text in texts)


FORMS = {
    "Iteration 100, loss = 0.3": {"loss": 0.3},
    "Iteration 100, loss = 3": {"loss": 3},
    "Iteration 100, loss = 1.5e-05": {"loss": 1.5e-5},
    "Iteration 100, loss = 1.5e-005": {"loss": 1.5e-5},
    "Iteration 100, loss = inf": {"loss": math.inf},
    "Iteration 100, loss = -1.#INF": {"loss": -math.inf},
    "Iteration 100 (12.3 iter/s, 8.1s/100 iters), loss = 0.3": {"loss": 0.3},
    "Iteration 100 (-6.5e-44 iter/s, 8.1s/100 iters), loss = 0.3": {"loss": 0.3},
    "Iteration 100 (497.307 iter/s, 0.197061s/98 iter), loss = 2.18689": {"loss": 2.18689},
    "Iteration 100 (0.5 s), loss = 6.9": {"loss": 6.9},
    "Iteration 100 (12.3 iter/s, 8.1s/100 iter), 0.4/3.5ep, loss = 0.3": {"loss": 0.3},
    "Iteration 100 (12.3 iter/s, 8.1s/100 iter), loss = 0.3, remaining 2 hours and 7 minutes": {"loss": 0.3},
    "[0] Iteration 100 (12.3 iter/s, 8.1s/100 iter), loss = 0.3, 11.9 iter/s avg": {"loss": 0.3},
    "Iteration 100, lr = 0.01": {"lr": 0.01},
    "Iteration 100, lr = 9.92565e-05, m = 0.9, wd = 0.0005, gs = 1": {"lr": 9.92565e-5},
    "Iteration 100, loss = 1.2, lr = 0.01, 812 images/s, 4% waiting, 50% from the cache, stats[norm] = 1, 1:02:03 left": {
        "loss": 1.2, "lr": 0.01, "images_per_s": 812, "waiting": 0.04, "cached": 0.5, "train stats[norm]": 1,
    },
    "Iteration 100, test loss = 0.3, test per_class[3] = 0.5": {"test loss": 0.3, "test per_class[3]": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "head", [HEAD, "I20190312 10:11:12.123456  4242 solver.cpp:228] ", "I1203 solver.cpp:66] ", ""]
)
def test_a_line_of_an_iteration(read, form, head):
    assert numbers(read(head + form + "\r\n")[0]) == {100: FORMS[form]}


@pytest.mark.parametrize("number", ["nan", "-nan", "NaN", "-nan(ind)", "1.#QNAN", "-1.#IND"])
def test_no_number(read, number):
    (run,) = read(lines("Iteration 0, loss = 0.5", f"Iteration 100, loss = {number}"))
    assert math.isnan(run.rows[100].numbers["loss"])
    assert findings(run)[0].is_fault and findings(run)[0].iteration == 100 and findings(run)[0].place.line == 2


@pytest.mark.parametrize(
    "text",
    [
        "Iteration 100, loss = 0.3",  # the end of the log: the number may have gone on
        "Iteration 100, loss = \n",
        "Iteration 100, loss = 0.3e\n",
        "Iteration 100, loss = 0.0.3\n",
        "Iteration , loss = 0.3\n",
        "[1] Iteration 100, loss = 0.3\n",  # another process under MPI
        "My layer: Iteration 100, loss = 0.3\n",
        "    Test net output #0: accuracy = 0.5\n",  # at which iteration?
        "    Train net output #0: loss = 0.5 (* 1 = 0.5 loss)\n",
    ],
)
def test_what_has_no_number(read, text):
    with pytest.raises(DataError) as error:
        read(HEAD + text)
    assert error.value.source.endswith("a.log") and "2> train.log" in error.value.remedy


OUTPUTS = [
    "    Test net output #0: accuracy = 0.5",
    "    Test net output #1: loss = 0.7 (* 1 = 0.7 loss)",
    "    Test net output #2: per_class = 0.1",
    "    Test net output #3: per_class = 0.2",
]


def test_outputs_have_the_columns_of_train(read):
    (run,) = read(
        lines(
            "Iteration 0, Testing net (#0)",
            *OUTPUTS,
            "Iteration 0, loss = 1",
            "    Train net output #0: loss = 1.5 (* 1 = 1.5 loss)",
            "Iteration 0, lr = 1",
        )
    )
    assert numbers(run)[0] == {
        "loss": 1, "lr": 1, "train loss": 1.5,
        "test accuracy": 0.5, "test loss": 0.7, "test per_class[0]": 0.1, "test per_class[1]": 0.2,
    }  # fmt: skip
    assert run.columns == [
        "loss",
        "lr",
        "train loss",
        "test accuracy",
        "test loss",
        "test per_class[0]",
        "test per_class[1]",
    ]


def test_the_first_versions_of_caffe(read):
    """lr comes before the loss, and outputs of a test have no names."""
    scores = ["Iteration 20, Testing net", "Test score #0: 0.56976", "Test score #1: 1.83616"]
    (run,) = read(lines("Iteration 20, lr = 0.1", "Iteration 20, loss = 1.5", *scores, "Optimization Done"))
    assert numbers(run) == {20: {"lr": 0.1, "loss": 1.5, "test score[0]": 0.56976, "test score[1]": 1.83616}}
    assert findings(run)[-1].text == "it ended: Optimization Done"


def test_several_test_nets(read):
    one = lines("Iteration 0, Testing net (#0)", OUTPUTS[0])
    two = lines("Iteration 0, Testing net (#1)", OUTPUTS[0].replace("0.5", "0.25"), "Iteration 0, loss = 1")
    assert numbers(read(one + two)[0])[0] == {"test0 accuracy": 0.5, "test1 accuracy": 0.25, "loss": 1}


@pytest.mark.parametrize("lost", range(4))
def test_outputs_behind_a_line_that_is_lost_do_not_count(read, lost):
    """The number of an entry would be wrong."""
    (run,) = read(
        lines(
            *["Iteration 0, Testing net (#0)", *OUTPUTS, "Iteration 0, loss = 1"],
            *["Iteration 9, Testing net (#0)", *OUTPUTS[:lost], "lost", *OUTPUTS[lost + 1 :], "Iteration 9, loss = 1"],
        )
    )
    assert numbers(run)[9] == {"loss": 1}


def test_outputs_in_front_of_a_line_that_nobody_knows(read):
    """A fork may say something there, each time; once it may be the rest of a line that was cut off."""
    tests = [f"Iteration {i}, Testing net (#0)" for i in (0, 9)]
    (run,) = read(lines(tests[0], *OUTPUTS[:3], "a line", "Iteration 0, loss = 1", tests[1], *OUTPUTS[:3], "a line"))
    assert set(numbers(run)[9]) == {"test accuracy", "test loss", "test per_class"}
    (run,) = read(lines(tests[0], *OUTPUTS[:3], "    Test net outp", "Iteration 0, loss = 1"))
    assert set(numbers(run)[0]) == {"loss"}


def test_outputs_at_the_end_of_a_log_count_if_they_are_whole(read):
    start = lines("Iteration 0, Testing net (#0)", *OUTPUTS, "Iteration 0, loss = 1", "Iteration 9, Testing net (#0)")
    assert len(numbers(read(start + lines(*OUTPUTS))[0])[9]) == 4
    assert 9 not in numbers(read(start + lines(*OUTPUTS[:3]))[0])


def test_lines_of_two_processes_in_one(read):
    """The first one was cut off; what stands in front of the second head is part of a number."""
    (first, second) = read(
        lines("Iteration 0, loss = 1", "Iteration 1, loss = 0.98", head=HEAD)[:-2]
        + lines("Iteration 0, loss = 2", head=HEAD.replace("4242", "4243"))
    )
    assert (numbers(first), numbers(second)) == ({0: {"loss": 1}}, {0: {"loss": 2}})
    assert first.name.endswith("a.log (1)") and second.name.endswith("a.log (2)")


def test_two_processes_at_the_same_time(read):
    heads = [HEAD, HEAD.replace("4242", "4243")]
    runs = read(
        "".join(lines(f"Iteration {i}, loss = {i + which}", head=heads[which]) for i in range(5) for which in range(2))
    )
    assert [[row["loss"] for row in numbers(run).values()] for run in runs] == [[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]


def test_threads_that_train_for_another_one_are_no_runs(read):
    """As with several GPUs."""
    workers = "".join(lines("Initializing solver from parameters: ", head=HEAD.replace("4242", str(n))) for n in (1, 2))
    (run,) = read(lines("Initializing solver from parameters: ") + workers + lines("Iteration 0, loss = 2"))
    assert numbers(run) == {0: {"loss": 2}}


def test_bytes_of_any_kind(read):
    """A name that is no UTF-8, zeros after a power failure, lines without end, UTF-16 of a Windows shell."""
    text = lines(
        "Iteration 0, Testing net (#0)", "    Test net output #0: pr\udcffc = 0.5", "Iteration 0, loss = 1", end="\r\n"
    )
    raw = (
        b"\0" * 300
        + text.encode(errors="surrogateescape")
        + b"\xff" * 200_000
        + b"\n"
        + lines("Iteration 1, loss = 2").encode()
    )
    (run,) = read(raw)
    assert numbers(run) == {0: {"test pr\udcffc": 0.5, "loss": 1}, 1: {"loss": 2}}
    assert run.rows[1].place.line == 5
    assert numbers(read(lines("Iteration 1, loss = 2", end="\r\n").encode("utf-16"))[0]) == {1: {"loss": 2}}


def test_a_year_that_ends(read):
    def at(time):
        return HEAD.replace("0312 10:11:12", time)

    text = lines("Iteration 0, loss = 1", head=at("1231 23:59:59")) + lines(
        "Iteration 10, loss = 1", head=at("0101 00:00:01")
    )
    (run,) = read(text)
    assert run.rows[10].numbers["iterations_per_s"] == 5
    assert str(findings(run)[-1]).endswith(
        "a.log:2 (01-01 00:00:01): iteration 10: the log ends here: it was killed, or still trains"
    )
    (run,) = read(f"Log file created at: 2015/12/31 23:59:00\n{text}")
    assert run.rows[10].place.time.isoformat() == "2016-01-01T00:00:01.123456"
    (run,) = read(
        lines("Iteration 0, loss = 1", head=at("0229 00:00:00"))
        + lines("Iteration 5, loss = 1", head=at("9999 00:00:00"))
    )
    assert [row.place.time.day for row in run.rows.values()] == [29, 29]


def test_a_date_that_is_cut_off_is_none(read):
    """The first line of what is left of a log: its date could be any."""
    date = "I20261130 14:00:3{}.496277  4242 solver.cpp:1] "
    text = "".join(lines(f"Iteration {i}, loss = 1", head=date.format(i)) for i in range(3))
    for at in range(1, 8):
        assert read(text[at:])[0].numbers("iterations_per_s") == {2: 1}


def test_a_state_from_before_the_loss_was_lost(read):
    """One that was written behind the last good loss may have bad weights."""
    wrote = "Snapshotting solver state to binary proto file n_iter_{}.solverstate"
    losses = [
        "Iteration 0, loss = 2",
        wrote.format(5),
        "Iteration 10, loss = 1",
        wrote.format(15),
        "Iteration 20, loss = nan",
    ]
    (run,) = read(lines(*losses))
    assert findings(run)[0].text == (
        "loss is nan; the last good loss is 1 at iteration 10, and the newest state before it is n_iter_5.solverstate"
    )


def seconds(times, text):
    """Lines at these times: the text has their number."""
    heads = (HEAD.replace("10:11:12.123456", f"{t // 3600:02d}:{t // 60 % 60:02d}:{t % 60:02d}.000000") for t in times)
    return [head + text.format(number) + "\n" for number, head in enumerate(heads)]


def test_the_speed_is_without_tests_and_not_known_over_a_snapshot(read):
    losses = seconds([0, 10, 60, 80], "Iteration {}00, loss = 1")
    test = seconds([12, 50], "Iteration 200, Testing net (#0)")[0] + seconds([12, 50], OUTPUTS[0])[1]
    snapshot = seconds([70], "Snapshotting solver state to binary proto file a_iter_250.solverstate")
    (run,) = read("".join([*losses[:2], test, losses[2], *snapshot, losses[3]]))
    assert run.numbers("iterations_per_s") == {100: 10, 200: 100 / 12} or run.numbers("iterations_per_s") == {
        100: 10,
        200: 8.3333,
    }


def test_where_it_was_slow(read):
    """One slow row of a thousand is none; a stretch at a third of the speed is."""
    times, now = [], 0
    for number in range(1000):
        now += 3 if 400 <= number < 500 else 9 if number == 700 else 1
        times.append(now)
    (run,) = read("".join(seconds(times, "Iteration {}, loss = 1")))
    slow, end = findings(run)
    assert (slow.iteration, slow.place.line, slow.is_fault) == (400, 401, False)
    assert slow.text == "slow until iteration 499: 0.333 iterations/s, but the median is 1; 17% of the time was lost"
    assert end.iteration == 999


FAILURES = {
    "F0312 10:11:12.123456  4242 data.cpp:3] Check failed: mdb_status == 0 (2 vs. 0) No such file\n*** Check failure stack trace: ***\n"
    "    @     0x7f  google::LogMessage::Fail()\nAborted (core dumped)\n": (3, "Check failed: mdb_status == 0 (2 vs. 0) No such file"),
    "F0312 10:11:12.123456  9999 data.cpp:3] Check failed: of another thread\n": (3, "Check failed: of another thread"),
    "*** Aborted at 1426155072 (unix time) try \"date -d @1426155072\" if you are using GNU date ***\n": (
        3, '*** Aborted at 1426155072 (unix time) try "date -d @1426155072" if you are using GNU date ***'),
    "Traceback (most recent call last):\n  File \"layer.py\", line 3, in forward\n    x = 1 / 0\nZeroDivisionError: division by zero\n"
    "terminate called after throwing an instance of 'boost::python::error_already_set'\n": (6, "ZeroDivisionError: division by zero"),
    "train.sh: line 3:  4242 Killed                  caffe train --solver=s.prototxt\n": (
        3, "train.sh: line 3:  4242 Killed                  caffe train --solver=s.prototxt"),
    "Segmentation fault (core dumped)\n": (3, "Segmentation fault (core dumped)"),
}  # fmt: skip


@pytest.mark.parametrize("text", FAILURES, ids=[f"{line}: {text[:20]}" for line, text in FAILURES.values()])
def test_how_it_failed(read, text):
    (run,) = read(lines("Iteration 0, loss = 1", "Iteration 9, loss = 1") + text)
    (end,) = findings(run)
    assert (end.is_fault, end.iteration) == (True, 9)
    assert (end.place.line, end.text) == (FAILURES[text][0], f"it failed: {FAILURES[text][1]}")


def test_an_error_after_which_it_goes_on_is_no_end(read):
    traceback = "Traceback (most recent call last):\n  File\nKeyError: 'told, and caught'\n"
    (run,) = read(lines("Iteration 0, loss = 1") + traceback + lines("Iteration 9, loss = 1", "Optimization Done."))
    assert [(each.text, each.is_fault) for each in findings(run)] == [("it ended: Optimization Done.", False)]


def test_a_failure_before_the_first_iteration(read):
    (run,) = read(
        lines("Initializing solver from parameters: ") + "F0312 10:11:13.123456  4242 net.cpp:3] Check failed: x\n"
    )
    assert run.rows == {} and str(findings(run)[0]).endswith(
        "a.log:2 (03-12 10:11:13): before the first iteration: it failed: Check failed: x"
    )


def test_a_failure_is_all(read):
    (run,) = read(
        "F0312 10:11:13.123456  4242 io.cpp:36] Check failed: fd != -1 (-1 vs. -1) File not found: s.prototxt\n"
    )
    assert findings(run)[0].text == "it failed: Check failed: fd != -1 (-1 vs. -1) File not found: s.prototxt"


def part(begin, end, resumed="", offset=0.0, thread=1):
    """A process that writes a state at its end."""
    head = HEAD.replace("4242", str(thread))
    texts = [f"Resuming from {resumed}"] if resumed else ["Initializing solver from parameters: "]
    texts += [f"Iteration {i}, loss = {i + offset}" for i in range(begin, end)]
    return lines(*texts, f"Snapshotting solver state to binary proto file snap/n_iter_{end}.solverstate", head=head)


def test_processes_that_go_on_are_one_run(read):
    """In whatever order the files are given; what was done again is taken from the later one."""
    first = part(0, 4) + lines("Iteration 4, loss = 40", "Iteration 5, loss = 50", head=HEAD.replace("4242", "1"))
    second, third = part(4, 6, "snap/n_iter_4.solverstate", 0.5, 2), part(6, 7, "snap/n_iter_6.solverstate", 0.25, 3)
    (run,) = read(third, first, second)
    assert [row["loss"] for row in numbers(run).values()] == [0, 1, 2, 3, 4.5, 5.5, 6.25]
    assert run.name.count(" + ") == 2 and len(findings(run)) == 3
    (run,) = read(first + second + third)
    assert [row["loss"] for row in numbers(run).values()] == [0, 1, 2, 3, 4.5, 5.5, 6.25]


def test_two_that_go_on_from_one_state_are_two_runs(read):
    state = "snap/n_iter_2.solverstate"
    runs = read(part(0, 2), part(2, 4, state, 0.5, 2), part(2, 4, state, 0.25, 3))
    assert [[row["loss"] for row in numbers(run).values()] for run in runs] == [[0, 1, 2.5, 3.5], [0, 1, 2.25, 3.25]]


def test_a_state_that_no_log_tells_of(read):
    runs = read(part(0, 2), part(9, 10, "snap/n_iter_9.solverstate", 0.5, 2))
    assert [list(run.rows) for run in runs] == [[0, 1], [9]]
