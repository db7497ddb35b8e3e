"""The interactive service: look-ups in an envelope that is always HTTP 200."""

from server import Answer


class Interactive:
    def __init__(self, house, tokens, settings, lock):
        self.house = house
        self.tokens = tokens
        self.settings = settings
        self.lock = lock

    def answer(self, request, entry):
        return Answer(404, {"Content-Type": "application/json"}, '{"Message":"not here yet"}')
