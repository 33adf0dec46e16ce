"""Answers of other servers, kept for as long as they say, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict

from pixlsrve.wg.dns.message import Answer

SIZE_MAX_BYTES = 4 * 1024 * 1024
ENTRY_OVERHEAD_BYTES = 700
"""Of Python's objects around an answer."""
STALE_S = 86_400
"""RFC 8767 §5: one to three days."""


class AnswerCache:
    """The least recently used answers give way. Times are those of the loop's clock."""

    def __init__(self, size_max_bytes: int = SIZE_MAX_BYTES) -> None:
        self._size_max_bytes = size_max_bytes
        self._size_bytes = 0
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: bytes, now_s: float) -> Answer | None:
        """The answer, if it is still good."""
        answer = self._answers.get(key)
        if answer is None or now_s >= answer.made_s + answer.lifetime_s:
            return None
        self._answers.move_to_end(key)
        return answer

    def get_stale(self, key: bytes, now_s: float) -> Answer | None:
        """The answer for when nobody can be asked: it may have been over for a day (RFC 8767)."""
        answer = self._answers.get(key)
        if answer is None or now_s >= answer.made_s + answer.lifetime_s + STALE_S:
            return None
        return answer

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer that may be kept."""
        if not answer.lifetime_s:
            return
        self._drop(key)
        self._answers[key] = answer
        self._size_bytes += _size_bytes(key, answer)
        while self._size_bytes > self._size_max_bytes:
            self._drop(next(iter(self._answers)))

    def clear(self) -> None:
        """Forget everything."""
        self._answers.clear()
        self._size_bytes = 0

    def _drop(self, key: bytes) -> None:
        old = self._answers.pop(key, None)
        if old is not None:
            self._size_bytes -= _size_bytes(key, old)


def _size_bytes(key: bytes, answer: Answer) -> int:
    return len(key) + len(answer.records) + 32 * len(answer.ttl_offsets) + ENTRY_OVERHEAD_BYTES
