"""Stopping a job at once when it is asked to, whatever its threads are doing."""

import ctypes
import os
import signal
import sys
import threading

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_with(clean_up):
    """From now on end this process when it is asked to stop: by Ctrl-C, by SIGTERM, or by the death of its parent.

    Python runs a handler in the main thread alone, which may be waiting for others, or be in a library's long loop.
    Here another thread is woken, cleans up, and ends the process without waiting for any.

    Parameters
    ----------
    clean_up : callable
        Called once, in that thread.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)  # a handler there must be, or nobody is woken
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(woken, clean_up), daemon=True).start()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def _wait(woken, clean_up):
    while (number := os.read(woken, 1)[0]) not in _SIGNALS:
        pass
    try:
        clean_up()
    finally:
        os._exit(128 + number)
