#!/usr/bin/env python3
"""The account itself: whatever is lost, doubled, or untrue is certain to be seen. usage: test_ledger.py"""

import json
import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
from chaos.ledger import Ledger  # noqa: E402  pylint: disable=wrong-import-position

INSTANCE = {"instance": 7, "instanceType": "invoker", "uniqueName": "u", "userMemory": "1024 MB"}


def response(status=0, **result):
    return {"statusCode": status, "result": result}


def slot(activation_id, system_error=False):
    return json.dumps({"activationId": activation_id, "instance": INSTANCE, "isSystemError": system_error, "transid": ["t", 1]})


def result(activation_id, status=0, own=None):
    return json.dumps({"response": {"activationId": activation_id, "response": response(status, id=own or activation_id)},
                       "transid": ["t", 1]})


def combined(activation_id, status=0):
    return json.dumps({**json.loads(slot(activation_id, status == 3)), **json.loads(result(activation_id, status)),
                       "activationId": activation_id})


def record(activation_id, status=0):
    return {"activationId": activation_id, "response": response(status, id=activation_id)}


class AccountTest(unittest.TestCase):
    def setUp(self):
        self.now = 100.0
        self.ledger = Ledger(lambda: self.now)
        for activation_id, blocking in (("a", True), ("b", False)):
            self.ledger.sent(activation_id, "short", blocking)

    def well(self, *ids):
        """All that happens to an activation when all is well."""
        for activation_id in ids:
            self.ledger.ran(activation_id)
            self.ledger.ack(combined(activation_id))
            self.ledger.record(activation_id, record(activation_id))

    def account(self):
        return self.ledger.account()

    def test_all_well_is_sound(self):
        self.well("a", "b")
        account = self.account()
        self.assertTrue(account.sound)
        self.assertEqual(account.text(), "2 activations, 0 lost, 0 run twice, 0 answered twice, 0 with an error")
        self.assertEqual((account.examples(), self.ledger.in_flight()), ([], 0))

    def test_result_and_completion_are_one_answer(self):
        self.ledger.ran("a")
        self.ledger.ack(result("a"))
        self.assertEqual(self.ledger.in_flight(), 2)
        self.ledger.ack(slot("a"))
        self.ledger.record("a", record("a"))
        self.well("b")
        self.assertTrue(self.account().sound)
        self.assertEqual(self.account().answered_twice, [])

    def test_no_ack_is_lost_even_with_a_record(self):
        self.well("a")
        self.ledger.ran("b")
        self.ledger.record("b", record("b"))
        self.assertEqual((self.account().lost, self.account().unanswered, self.account().sound), (["b"], ["b"], False))

    def test_result_without_a_freed_slot_is_lost(self):
        self.well("b")
        self.ledger.ran("a")
        self.ledger.ack(result("a"))
        self.ledger.record("a", record("a"))
        self.assertEqual(self.account().unanswered, ["a"])

    def test_blocking_caller_without_a_result_is_lost(self):
        self.well("b")
        self.ledger.ran("a")
        self.ledger.ack(slot("a"))
        self.ledger.record("a", record("a"))
        self.assertEqual(self.account().unanswered, ["a"])

    def test_no_record_is_lost_even_with_an_ack(self):
        self.well("b")
        self.ledger.ran("a")
        self.ledger.ack(combined("a"))
        self.assertEqual((self.account().lost, self.account().unrecorded, self.account().sound), (["a"], ["a"], False))

    def test_nothing_at_all_is_lost_once(self):
        self.well("a")
        self.assertEqual(self.account().lost, ["b"])
        self.assertIn("1 lost (1 without an answer, 1 without a record)", self.account().text())

    def test_second_run_is_seen_however_late(self):
        self.well("a", "b")
        self.ledger.ran("a")
        self.assertEqual((self.account().run_twice, self.account().sound), (["a"], False))
        self.assertEqual(self.account().examples(), ["run twice: a"])

    def test_second_ack_of_either_sort_is_seen(self):
        self.well("a", "b")
        self.ledger.ack(slot("a"))
        self.ledger.ack(result("b"))
        self.assertEqual((self.account().answered_twice, self.account().sound), (["a", "b"], True))

    def test_success_without_a_run_is_seen(self):
        self.well("a")
        self.ledger.ack(combined("b"))
        self.ledger.record("b", record("b"))
        self.assertEqual((self.account().not_run, self.account().sound), (["b"], False))

    def test_error_without_a_run_is_sound_and_counted(self):
        self.well("a")
        self.ledger.ack(combined("b", status=3))
        self.ledger.record("b", record("b", status=3))
        self.assertEqual((self.account().failed, self.account().system_errors, self.account().sound), (1, 1, True))

    def test_record_that_contradicts_the_ack_is_seen(self):
        self.well("a")
        self.ledger.ran("b")
        self.ledger.ack(combined("b"))
        self.ledger.record("b", record("b", status=3))
        self.assertEqual((self.account().at_odds, self.account().sound), (["b"], False))

    def test_second_answer_that_says_something_else_is_an_answer_twice(self):
        self.well("a", "b")
        self.ledger.ack(combined("b", status=3))
        self.assertEqual((self.account().answered_twice, self.account().at_odds, self.account().sound), (["b"], [], True))

    def test_result_of_another_activation_is_seen(self):
        self.well("b")
        self.ledger.ran("a")
        self.ledger.ack(result("a", own="b"))
        self.ledger.ack(slot("a"))
        self.ledger.record("a", record("a"))
        self.assertEqual((self.account().at_odds, self.account().sound), (["a"], False))

    def test_what_was_never_sent_is_seen(self):
        self.well("a", "b")
        self.ledger.ran("x")
        self.ledger.ack(slot("y"))
        self.assertEqual((self.account().strangers, self.account().sound), (["x", "y"], False))

    def test_what_the_broker_never_had_does_not_count(self):
        self.well("a")
        self.ledger.unsent("b")
        self.assertEqual((self.account().activations, self.account().sound, self.ledger.in_flight()), (1, True, 0))

    def test_window_lets_go_of_what_is_too_old_and_the_account_does_not(self):
        self.now = 200.0
        self.ledger.sent("c", "short", False)
        self.assertEqual((self.ledger.in_flight(), self.ledger.in_flight_since(150.0), len(self.account().lost)), (3, 1, 3))

    def test_next_answer_is_one_behind_the_moment(self):
        self.ledger.ack(combined("a"))
        self.assertIsNone(self.ledger.wait_answer(100.5, 0))
        self.now = 102.0
        self.ledger.ack(combined("b"))
        self.assertEqual(self.ledger.wait_answer(100.5, 0), 1.5)


if __name__ == "__main__":
    unittest.main()
