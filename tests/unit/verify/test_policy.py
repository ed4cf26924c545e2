"""Policy documents: what a statement means, however it is written."""

import json

import pytest

from standby.verify.policy import allows_service, denies_plaintext, is_open, statements


def test_documents_come_as_text_or_decoded_with_one_statement_or_several() -> None:
    one = {"Effect": "Deny", "Principal": "*", "Action": "*"}
    assert statements(json.dumps({"Statement": one})) == [one]
    assert statements({"Statement": [one, one]}) == [one, one]


@pytest.mark.parametrize(
    ("statement", "opens"),
    [
        ({"Effect": "Allow", "Principal": "*"}, True),
        ({"Effect": "Allow", "Principal": {"AWS": "*"}}, True),
        ({"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::1:root", "*"]}}, True),
        ({"Effect": "Deny", "Principal": "*"}, False),
        ({"Effect": "Allow", "Principal": "*", "Condition": {}}, True),
        (
            {"Effect": "Allow", "Principal": "*", "Condition": {"StringEquals": {"a": "b"}}},
            False,
        ),
        ({"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}}, False),
    ],
)
def test_open_is_what_anyone_may_do_unconditionally(
    statement: dict[str, object], opens: bool
) -> None:
    assert is_open(statement) == opens


def test_denying_plaintext_is_told_from_demanding_it() -> None:
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    assert denies_plaintext({"Effect": "Deny", "Condition": condition})
    assert denies_plaintext(
        {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": False}}}
    )
    assert not denies_plaintext({"Effect": "Allow", "Condition": condition})
    assert not denies_plaintext({"Effect": "Deny"})


def test_a_service_is_allowed_by_name_and_by_pattern() -> None:
    policy = [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["a.amazonaws.com", "b.amazonaws.com"]},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        }
    ]
    assert allows_service(policy, "b.amazonaws.com", "kms:GenerateDataKey")
    assert not allows_service(policy, "b.amazonaws.com", "kms:Encrypt")
    assert not allows_service(policy, "c.amazonaws.com", "kms:Decrypt")
    assert not allows_service([policy[0] | {"Effect": "Deny"}], "b.amazonaws.com", "kms:Decrypt")
