"""What the Python programs here share: named steps, and their report. One line a step: "pass NAME" or "fail NAME", faults as comment lines before it,
"done" at the end."""

import traceback

steps = []


def step(name):
    def add(function):
        steps.append((name, function))
        return function

    return add


def equal(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def run_all():
    for title, run in steps:
        try:
            run()
            print("pass", title, flush=True)
        except Exception:
            for text in traceback.format_exc().splitlines()[-12:]:
                print(" ", text[:600])
            print("fail", title, flush=True)
    print("done", flush=True)
