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
        ({"Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::1:root"}}, True),
    ],
)
def test_open_is_what_anyone_may_do_unconditionally(
    statement: dict[str, object], opens: bool
) -> None:
    assert is_open(statement) == opens


def test_denying_plaintext_is_told_from_demanding_it() -> None:
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    assert denies_plaintext(denial)
    assert denies_plaintext(denial | {"Condition": {"Bool": {"aws:SecureTransport": False}}})
    assert not denies_plaintext(denial | {"Effect": "Allow"})
    assert not denies_plaintext(denial | {"Condition": {}})


def test_denying_plaintext_to_some_denies_it_to_nobody_else() -> None:
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    some = {"AWS": "arn:aws:iam::1:role/one"}
    assert not denies_plaintext({"Effect": "Deny", "Principal": some, "Condition": condition})
    assert not denies_plaintext({"Effect": "Deny", "NotPrincipal": some, "Condition": condition})


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
