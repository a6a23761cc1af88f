"""Rows of the network itself: packets that are lost, repeated and overtaken, between phones and edge, both ways."""

import random
import threading

from desk import Watched
from invariants import Baseline, check
from room import Room


class Rained(Watched):
    """A phone in bad weather. The dice are its own, so that a run can be had again."""

    def __init__(self, *rest, loss=0.0, late=0.0, twice=0.0, seed=1, **more):
        self.loss, self.late, self.twice = loss, late, twice
        self.dice, self.turn, self.counts_of = random.Random(seed), threading.Lock(), {"lost": 0, "late": 0, "twice": 0, "all": 0}
        super().__init__(*rest, **more)

    def _through(self, do, what):
        with self.turn:
            self.counts_of["all"] += 1
            if self.dice.random() < self.loss:
                self.counts_of["lost"] += 1
                return
            copies = 1
            if self.dice.random() < self.twice:
                self.counts_of["twice"] += 1
                copies = 2
            waits = []
            for _ in range(copies):
                late = self.dice.random() < self.late
                self.counts_of["late"] += late
                waits.append(0.03 if late else 0.0)
        for wait in waits:
            if wait:
                timer = threading.Timer(wait, self._one, (do, what))
                timer.daemon = True
                timer.start()
            else:
                self._one(do, what)

    def _one(self, do, what):
        if not self.closed:
            do(what)

    def _transmit(self, text):
        self._through(super()._transmit, text)

    def _handle(self, message):
        self._through(self._taken, message)

    def _taken(self, message):
        with self.order:
            super()._handle(message)

    order = threading.RLock()


def weather(folder, transfers=4, loss=0.05, late=0.25, twice=0.01):
    """Blind and attended transfers in the rain: each done or undone, and who talks hears each other."""
    def phone(name, room, host, tone):
        return Rained(name, (room.host, 5060), "secret", host=host, tone=tone, crossing=room._crossed,
                      loss=loss, late=late, twice=twice, seed=len(name))
    with Room(folder, phones=phone) as room:
        room.warm_up()
        baseline = Baseline(room)
        verdicts = []
        for number in range(transfers):
            room.talk()
            room.transfer("blind" if number % 2 == 0 else "attended")
            verdicts.append(room.settle())
            room.still_answers(verdicts[-1])
            if number < transfers - 1:
                room.everybody_leaves()
        figures = check(room, baseline)
        counts = [phone.counts_of for phone in room.phones.values()]
        figures.update({key: sum(count[key] for count in counts) for key in ("lost", "late", "twice")})
        figures["messages"] = sum(count["all"] for count in counts)
        assert figures["lost"] or not loss, "no packet was lost: the row tested nothing"
        figures["verdicts"] = {verdict: verdicts.count(verdict) for verdict in set(verdicts)}
        return figures
