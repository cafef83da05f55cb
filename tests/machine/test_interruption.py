"""Signals: raised at once or held back, in the main thread, and the second one is final."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from homog.machine.interruption import SIGNALS, Interrupted, Interruption


@pytest.mark.usefixtures("hears_interrupts")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_raised_at_once_or_where_it_is_asked_for(number: signal.Signals):
    before = [signal.getsignal(other) for other in SIGNALS]
    with pytest.raises(Interrupted) as raised, Interruption():
        os.kill(os.getpid(), number)
    assert raised.value.status == 128 + number
    assert number.name in str(raised.value)

    passed = []

    def hold() -> None:
        with Interruption() as interruption, interruption.held():
            interruption.check()
            os.kill(os.getpid(), number)
            passed.append(interruption.wanted)
            passed.append(os.read(interruption.descriptor, 1))

    with pytest.raises(Interrupted):
        hold()
    assert passed == [True, b"."]  # raised at the end of what is held, at the latest
    with Interruption() as interruption:
        interruption.hold_to_the_end()
        os.kill(os.getpid(), number)
        assert interruption.wanted
    assert [signal.getsignal(other) for other in SIGNALS] == before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGUSR2)
            assert not interruption.wanted
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_another_thread_hears_nothing_and_is_not_disturbed():
    done = []

    def work() -> None:
        with Interruption() as interruption, interruption.held():
            interruption.check()
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


def test_the_second_signal_ends_the_process_at_once():
    code = (
        "import os, signal, time\n"
        "from homog.machine.interruption import Interruption\n"
        "with Interruption() as interruption, interruption.held():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('held', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    print('never', flush=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGUSR1, "held\n")
