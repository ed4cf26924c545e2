"""Monitoring: topics, who is subscribed to them and who may publish.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon Simple
Notification Service".
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Configured, Created, Handler, Resource, gone_is_fine, handler

_ATTRIBUTES = (
    "ArchivePolicy",
    "ContentBasedDeduplication",
    "DisplayName",
    "FifoThroughputScope",
    "FifoTopic",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "SignatureVersion",
    "TracingConfig",
)
_FIXED = {"FifoTopic"}
_PROTOCOLS = {
    "http/s": "HTTP",
    "sqs": "SQS",
    "lambda": "Lambda",
    "firehose": "Firehose",
    "application": "Application",
}
"""What the attributes of each protocol's delivery log begin with."""


def _text(value: Any) -> str:
    """Give a value as the text that SNS takes for every attribute."""
    if isinstance(value, Mapping | list):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _attributes(properties: Mapping[str, Any]) -> dict[str, str]:
    found = {key: _text(properties[key]) for key in _ATTRIBUTES if key in properties}
    for log in properties.get("DeliveryStatusLogging", ()):
        prefix = _PROTOCOLS[log["Protocol"].lower()]
        found |= {f"{prefix}{key}": _text(log[key]) for key in log if key != "Protocol"}
    return found


@handler("AWS::SNS::Topic")
class Topic(Configured):
    """A topic; ``Ref`` is its ARN."""

    def make(self, r: Resource) -> Created:
        """Create the topic; a name that is taken is refused."""
        sns, wanted = r.client("sns"), r.properties
        fifo = ".fifo" if wanted.get("FifoTopic") in {True, "true"} else ""
        name = wanted.get("TopicName")
        if name:
            with gone_is_fine():
                sns.get_topic_attributes(TopicArn=f"arn:aws:sns:{r.region}:{r.account}:{name}")
                raise TemplateError(f"topic {name!r} already exists")
        name = name or r.generated_name(256 - len(fifo)) + fifo
        attributes = _attributes(wanted)
        arn = sns.create_topic(Name=name, Attributes=attributes, Tags=r.all_tags())["TopicArn"]
        return Created(arn, {"TopicArn": arn, "TopicName": name})

    def configure(self, r: Resource) -> None:
        """Set inline subscriptions and, after creation, attributes and tags."""
        sns, arn = r.client("sns"), r.physical_id
        if r.previous:
            before, after = _attributes(r.previous), _attributes(r.properties)
            for name in {**before, **after}.keys() - _FIXED:
                if before.get(name) != after.get(name):
                    value = after.get(name, "")
                    sns.set_topic_attributes(TopicArn=arn, AttributeName=name, AttributeValue=value)
            if dropped := r.dropped_tags():
                sns.untag_resource(ResourceArn=arn, TagKeys=dropped)
            if tags := r.all_tags():
                sns.tag_resource(ResourceArn=arn, Tags=tags)
        wanted = _endpoints(r.properties)
        former = _endpoints(r.previous)
        for protocol, endpoint in sorted(wanted - former):
            sns.subscribe(TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
        if gone := former - wanted:
            backend = sns.get_paginator("list_subscriptions_by_topic")
            for page in backend.paginate(TopicArn=arn):
                _unsubscribe(sns, page["Subscriptions"], gone)

    def delete(self, r: Resource) -> None:
        """Delete the topic and its subscriptions."""
        with gone_is_fine():
            r.client("sns").delete_topic(TopicArn=r.physical_id)


def _endpoints(properties: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(each["Protocol"], each["Endpoint"]) for each in properties.get("Subscription", ())}


def _unsubscribe(
    sns: Any, subscriptions: Iterable[Mapping[str, str]], gone: set[tuple[str, str]]
) -> None:
    """End subscriptions; one that nobody has confirmed has no ARN and ends by itself."""
    for each in subscriptions:
        confirmed = each["SubscriptionArn"].startswith("arn:")
        if confirmed and (each["Protocol"], each["Endpoint"]) in gone:
            sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


@handler("AWS::SNS::Subscription")
class Subscription(Configured):
    """A subscription; ``Ref`` is its ARN, even while it waits for its confirmation."""

    _attributes = (
        "DeliveryPolicy",
        "FilterPolicyScope",
        "FilterPolicy",
        "RawMessageDelivery",
        "RedrivePolicy",
        "ReplayPolicy",
        "SubscriptionRoleArn",
    )
    """The scope comes before the policy, since SNS reads the policy by it."""

    def make(self, r: Resource) -> Created:
        """Subscribe the endpoint, in the topic's region."""
        wanted = r.properties.pick("TopicArn", "Protocol", "Endpoint")
        answer = self._sns(r).subscribe(**wanted, ReturnSubscriptionArn=True)
        return Created(answer["SubscriptionArn"], {"Arn": answer["SubscriptionArn"]})

    def configure(self, r: Resource) -> None:
        """Set the attributes that differ."""
        for name in self._attributes:
            if r.changed(name):
                value = r.properties.get(name)
                self._sns(r).set_subscription_attributes(
                    SubscriptionArn=r.physical_id,
                    AttributeName=name,
                    AttributeValue="" if value is None else _text(value),
                )

    def delete(self, r: Resource) -> None:
        """Unsubscribe the endpoint."""
        with gone_is_fine():
            self._sns(r).unsubscribe(SubscriptionArn=r.physical_id)

    @staticmethod
    def _sns(r: Resource) -> Any:
        region = r.properties.get("Region") or r.properties["TopicArn"].split(":")[3]
        return r.client("sns", region)


class _Policies(Handler):
    """A policy of one or several topics."""

    def set(self, r: Resource, topics: Iterable[str]) -> None:
        """Give topics the policy."""
        policy = r.properties.document("PolicyDocument")
        for topic in topics:
            r.client("sns").set_topic_attributes(
                TopicArn=topic, AttributeName="Policy", AttributeValue=policy
            )

    def reset(self, r: Resource, topics: Iterable[str]) -> None:
        """Give topics the policy that a new topic has."""
        for topic in topics:
            with gone_is_fine():
                r.client("sns").set_topic_attributes(
                    TopicArn=topic, AttributeName="Policy", AttributeValue=""
                )


@handler("AWS::SNS::TopicPolicy")
class TopicPolicy(_Policies):
    """The policy of topics; ``Ref`` is an id of CloudFormation's own."""

    def create(self, r: Resource) -> Created:
        """Set the policy of every topic."""
        self.set(r, r.properties["Topics"])
        id_ = r.generated_name()
        return Created(id_, {"Id": id_})

    def update(self, r: Resource) -> Created:
        """Set the policy of every topic, and reset those that left."""
        topics = r.properties["Topics"]
        self.set(r, topics)
        self.reset(r, [topic for topic in r.previous["Topics"] if topic not in topics])
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Reset the policies."""
        self.reset(r, r.properties["Topics"])


@handler("AWS::SNS::TopicInlinePolicy")
class TopicInlinePolicy(_Policies):
    """The policy of one topic, whose ARN is its ``Ref``."""

    def create(self, r: Resource) -> Created:
        """Set the topic's policy."""
        topic = r.properties["TopicArn"]
        self.set(r, [topic])
        return Created(topic)

    def update(self, r: Resource) -> Created:
        """Set the topic's policy anew."""
        return self.create(r)

    def delete(self, r: Resource) -> None:
        """Reset the topic's policy."""
        self.reset(r, [r.properties["TopicArn"]])
