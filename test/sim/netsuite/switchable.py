"""Settings by name, of which there are those that have a default.  Both simulators use this."""


class Switchable(dict):
    defaults = {}

    def __init__(self, **changes):
        super().__init__(self.defaults)
        self.change(changes)

    def change(self, changes):
        for name, value in changes.items():
            if name not in self.defaults:
                raise KeyError("no setting %s; there are: %s" % (name, ", ".join(self.defaults)))
            self[name] = value
