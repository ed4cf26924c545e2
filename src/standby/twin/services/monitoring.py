"""Monitoring: topics and dashboards, where moto's answers leave out what was set.

Source: SNS API reference, Subscribe (an endpoint that a person or a server must confirm is
pending until then), SetTopicAttributes and GetTopicAttributes; CloudWatch API reference,
PutDashboard (dashboards are global: every region answers with the same).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.utils import camelcase_to_underscores
from moto.sns.models import Topic, sns_backends

from standby.twin.operations import Call, ServiceError, operation

PENDING = frozenset({"email", "email-json", "http", "https"})
"""Protocols whose endpoint must confirm a subscription before anything is delivered to it."""
FEEDBACK = tuple(
    f"{protocol}{kind}"
    for protocol in ("HTTP", "SQS", "Lambda", "Firehose", "Application")
    for kind in (
        "SuccessFeedbackRoleArn",
        "SuccessFeedbackSampleRate",
        "FailureFeedbackRoleArn",
    )
)
OPTIONAL = (
    "ArchivePolicy",
    "FifoThroughputScope",
    "MaximumMessageSize",
    "SignatureVersion",
    "TracingConfig",
    *FEEDBACK,
)
"""Attributes that moto takes and keeps, but never tells."""
KNOWN = frozenset(
    {
        "ContentBasedDeduplication",
        "DeliveryPolicy",
        "DisplayName",
        "FifoTopic",
        "KmsMasterKeyId",
        "Policy",
        *OPTIONAL,
    }
)
POLICY_ACTIONS = frozenset(
    {
        "addpermission",
        "deletetopic",
        "getdataprotectionpolicy",
        "gettopicattributes",
        "listsubscriptionsbytopic",
        "listtagsforresource",
        "publish",
        "putdataprotectionpolicy",
        "receive",
        "removepermission",
        "settopicattributes",
        "subscribe",
        "*",
    }
)
GLOBAL = "us-east-1"


def _refused(what: str) -> ServiceError:
    return ServiceError("InvalidParameter", f"Invalid parameter: {what}")


def _topic(call: Call) -> Topic:
    """Give moto's topic; moto says so where there is none."""
    return sns_backends[call.account][call.region].get_topic(call.params["TopicArn"])


@operation("sns", "CreateTopic")
def create_topic(call: Call) -> Mapping[str, Any]:
    """Create a topic; an attribute that SNS does not know is refused."""
    if unknown := sorted(set(call.params.get("Attributes", {})) - KNOWN):
        raise _refused(f"Attributes Reason: Unknown attribute {unknown[0]}")
    if policy := call.params.get("Attributes", {}).get("Policy"):
        _check_policy(policy)
    return call.moto()


@operation("sns", "GetTopicAttributes")
def get_topic_attributes(call: Call) -> Mapping[str, Any]:
    """Give all attributes that were set, and how many subscriptions there are."""
    answer, topic = call.moto(), _topic(call)
    backend = sns_backends[call.account][call.region]
    pending = [_is_pending(each) for each in backend._get_topic_subscriptions(topic)]
    attributes = answer["Attributes"]
    attributes |= {
        "SubscriptionsPending": str(sum(pending)),
        "SubscriptionsConfirmed": str(len(pending) - sum(pending)),
    }
    for name in OPTIONAL:
        if (value := getattr(topic, camelcase_to_underscores(name), "")) != "":
            attributes[name] = value
    return answer


@operation("sns", "SetTopicAttributes")
def set_topic_attributes(call: Call) -> Mapping[str, Any]:
    """Set one attribute; an empty policy is the one that SNS gives a new topic."""
    name, value = call.params["AttributeName"], call.params.get("AttributeValue", "")
    if name not in KNOWN:
        raise _refused("AttributeName")
    if name != "Policy":
        return call.moto()
    topic = _topic(call)
    if value:
        _check_policy(value)
        topic.policy = value
    else:
        topic._policy_json = topic._create_default_topic_policy(
            call.region, call.account, topic.name
        )
    return {}


def _check_policy(text: str) -> None:
    """Refuse what is no policy, or speaks of other actions than a topic's.

    Raises:
        ServiceError: SNS would refuse the policy.
    """
    try:
        policy = json.loads(text)
    except ValueError:
        policy = None
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    for each in statements if isinstance(statements, list) else [statements]:
        if not isinstance(each, dict) or each.get("Effect") not in {"Allow", "Deny"}:
            raise _refused("Policy Error: null")
        actions = each.get("Action", each.get("NotAction"))
        if not actions or not ("Principal" in each or "NotPrincipal" in each):
            raise _refused("Policy Error: null")
        _check_actions([actions] if isinstance(actions, str) else actions)


def _check_actions(actions: Iterable[str]) -> None:
    for action in actions:
        service, _, name = action.lower().partition(":")
        known = any(
            each.startswith(name.rstrip("*")) if name.endswith("*") else each == name
            for each in POLICY_ACTIONS
        )
        if action != "*" and (service != "sns" or not known):
            raise _refused("Policy statement action out of service scope!")


@operation("sns", "Subscribe")
def subscribe(call: Call) -> Mapping[str, Any]:
    """Subscribe an endpoint; whoever must confirm has not done so yet."""
    backend = sns_backends[call.account][call.region]
    known = set(backend.subscriptions)
    arn = call.moto()["SubscriptionArn"]
    subscription = backend.subscriptions[arn]
    if arn not in known and call.params["Protocol"] in PENDING:
        subscription.attributes["PendingConfirmation"] = True
    if _is_pending(subscription) and not call.params.get("ReturnSubscriptionArn"):
        return {"SubscriptionArn": "pending confirmation"}
    return {"SubscriptionArn": arn}


def _is_pending(subscription: Any) -> bool:
    return subscription.attributes.get("PendingConfirmation") is True


@operation("sns", "ListSubscriptions")
@operation("sns", "ListSubscriptionsByTopic")
def list_subscriptions(call: Call) -> Mapping[str, Any]:
    """List subscriptions; one that waits for its confirmation shows no ARN."""
    answer = call.moto()
    backend = sns_backends[call.account][call.region]
    for each in answer["Subscriptions"]:
        if _is_pending(backend.subscriptions[each["SubscriptionArn"]]):
            each["SubscriptionArn"] = "PendingConfirmation"
    return answer


@dataclass(frozen=True)
class Dashboard:
    """One dashboard."""

    arn: str
    name: str
    body: str
    modified: datetime


class Dashboards(dict[str, Dashboard]):
    """The account's dashboards, by name."""


def _dashboards(call: Call) -> Dashboards:
    return call.twin.store(Dashboards, GLOBAL)


@operation("cloudwatch", "PutDashboard")
def put_dashboard(call: Call) -> Mapping[str, Any]:
    """Create or replace a dashboard."""
    name, body = call.params["DashboardName"], call.params["DashboardBody"]
    try:
        widgets = json.loads(body).get("widgets", [])
        wrong = [each for each in widgets if "type" not in each or "properties" not in each]
    except (ValueError, AttributeError, TypeError):
        raise _invalid_dashboard("The field DashboardBody must be a valid JSON object") from None
    if wrong:
        raise _invalid_dashboard("A widget lacks its type or its properties")
    arn = f"arn:aws:cloudwatch::{call.account}:dashboard/{name}"
    if name not in _dashboards(call) and (tags := call.params.get("Tags")):
        cloudwatch_backends[call.account][call.region].tagger.tag_resource(arn, tags)
    _dashboards(call)[name] = Dashboard(arn, name, body, datetime.now(UTC))
    return {"DashboardValidationMessages": []}


def _invalid_dashboard(message: str) -> ServiceError:
    return ServiceError("InvalidParameterInput", f"The dashboard body is invalid: {message}")


@operation("cloudwatch", "GetDashboard")
def get_dashboard(call: Call) -> Mapping[str, Any]:
    """Show a dashboard."""
    dashboard = _dashboards(call).get(call.params["DashboardName"])
    if dashboard is None:
        raise _no_dashboard(call.params["DashboardName"])
    return {
        "DashboardArn": dashboard.arn,
        "DashboardName": dashboard.name,
        "DashboardBody": dashboard.body,
    }


def _no_dashboard(name: str) -> ServiceError:
    return ServiceError("ResourceNotFound", f"Dashboard {name} does not exist")


@operation("cloudwatch", "ListDashboards")
def list_dashboards(call: Call) -> Mapping[str, Any]:
    """List the dashboards whose name begins as asked."""
    entries = [
        {
            "DashboardName": each.name,
            "DashboardArn": each.arn,
            "LastModified": each.modified,
            "Size": len(each.body.encode()),
        }
        for name, each in sorted(_dashboards(call).items())
        if name.startswith(call.params.get("DashboardNamePrefix", ""))
    ]
    return {"DashboardEntries": entries}


@operation("cloudwatch", "DeleteDashboards")
def delete_dashboards(call: Call) -> None:
    """Delete dashboards: all of them, or none if one does not exist."""
    dashboards, names = _dashboards(call), call.params["DashboardNames"]
    if missing := [name for name in names if name not in dashboards]:
        raise _no_dashboard(", ".join(missing))
    for name in names:
        arn = dashboards.pop(name).arn
        cloudwatch_backends[call.account][call.region].tagger.delete_all_tags_for_resource(arn)
