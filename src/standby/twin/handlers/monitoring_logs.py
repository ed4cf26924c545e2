"""Monitoring: log groups, what is in them, what they feed, and flow logs.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon
CloudWatch Logs" and, for flow logs, "Amazon EC2".
"""

from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Configured, Created, Handler, Resource, gone_is_fine, handler
from standby.twin.handlers.network import Ec2Resource
from standby.twin.shapes import call


@handler("AWS::Logs::LogGroup")
class LogGroup(Configured):
    """A log group; its name is its ``Ref``."""

    def make(self, r: Resource) -> Created:
        """Create the log group; a name that is taken is refused."""
        wanted = r.properties
        name = wanted.get("LogGroupName") or r.generated_name(512)
        options: dict[str, Any] = {"logGroupName": name}
        if tags := r.all_tags():
            options["tags"] = {tag["Key"]: tag["Value"] for tag in tags}
        for key, argument in (("KmsKeyId", "kmsKeyId"), ("LogGroupClass", "logGroupClass")):
            if key in wanted:
                options[argument] = wanted[key]
        r.client("logs").create_log_group(**options)
        return Created(name, {"Arn": f"{self._arn(r, name)}:*"})

    def configure(self, r: Resource) -> None:
        """Set retention and protection and, after creation, key and tags."""
        logs, named = r.client("logs"), {"logGroupName": r.physical_id}
        if r.previous:
            self._change(r)
        if r.changed("RetentionInDays"):
            days = r.properties.get("RetentionInDays")
            if days is None:
                logs.delete_retention_policy(**named)
            else:
                logs.put_retention_policy(**named, retentionInDays=int(days))
        if r.changed("DeletionProtectionEnabled"):
            call(
                logs,
                "PutLogGroupDeletionProtection",
                logGroupIdentifier=r.physical_id,
                deletionProtectionEnabled=r.properties.get("DeletionProtectionEnabled", False),
            )

    def _change(self, r: Resource) -> None:
        logs, named = r.client("logs"), {"logGroupName": r.physical_id}
        if r.changed("LogGroupClass"):
            raise TemplateError("the class of a log group cannot be changed")
        if r.changed("KmsKeyId"):
            if key := r.properties.get("KmsKeyId"):
                logs.associate_kms_key(**named, kmsKeyId=key)
            else:
                logs.disassociate_kms_key(**named)
        arn = self._arn(r, r.physical_id)
        if dropped := r.dropped_tags():
            logs.untag_resource(resourceArn=arn, tagKeys=dropped)
        if tags := r.all_tags():
            logs.tag_resource(resourceArn=arn, tags={tag["Key"]: tag["Value"] for tag in tags})

    def delete(self, r: Resource) -> None:
        """Delete the log group with all that is in it."""
        with gone_is_fine():
            r.client("logs").delete_log_group(logGroupName=r.physical_id)

    @staticmethod
    def _arn(r: Resource, name: str) -> str:
        return f"arn:aws:logs:{r.region}:{r.account}:log-group:{name}"


@handler("AWS::Logs::LogStream")
class LogStream(Handler):
    """A stream of a log group; its name is its ``Ref``."""

    def create(self, r: Resource) -> Created:
        """Create the stream."""
        name = r.properties.get("LogStreamName") or r.generated_name(512)
        r.client("logs").create_log_stream(
            logGroupName=r.properties["LogGroupName"], logStreamName=name
        )
        return Created(name)

    def delete(self, r: Resource) -> None:
        """Delete the stream with its events."""
        with gone_is_fine():
            r.client("logs").delete_log_stream(
                logGroupName=r.properties["LogGroupName"], logStreamName=r.physical_id
            )


@handler("AWS::Logs::MetricFilter")
class MetricFilter(Handler):
    """A filter that makes a metric of a log group's events; its name is its ``Ref``."""

    def create(self, r: Resource) -> Created:
        """Create the filter."""
        name = r.properties.get("FilterName") or r.generated_name(512)
        self._put(r, name)
        return Created(name)

    def update(self, r: Resource) -> Created:
        """Replace the filter."""
        self._put(r, r.physical_id)
        return Created(r.physical_id)

    def delete(self, r: Resource) -> None:
        """Delete the filter."""
        with gone_is_fine():
            r.client("logs").delete_metric_filter(
                logGroupName=r.properties["LogGroupName"], filterName=r.physical_id
            )

    @staticmethod
    def _put(r: Resource, name: str) -> None:
        wanted = r.properties.pick(
            "ApplyOnTransformedLogs",
            "EmitSystemFieldDimensions",
            "FieldSelectionCriteria",
            "FilterPattern",
            "LogGroupName",
        )
        transformations = [_lowered(each) for each in r.properties["MetricTransformations"]]
        for each in transformations:
            if "dimensions" in each:
                each["dimensions"] = {d["Key"]: d["Value"] for d in each["dimensions"]}
        call(
            r.client("logs"),
            "PutMetricFilter",
            filterName=name,
            metricTransformations=transformations,
            **_lowered(wanted),
        )


def _lowered(values: dict[str, Any]) -> dict[str, Any]:
    """Name properties as the API of this service does: they begin with a small letter."""
    return {key[0].lower() + key[1:]: value for key, value in values.items()}


@handler("AWS::Logs::ResourcePolicy")
class ResourcePolicy(Handler):
    """A policy that lets services write to the account's log groups; ``Ref`` is its name."""

    def create(self, r: Resource) -> Created:
        """Create the policy."""
        name = r.properties["PolicyName"]
        r.client("logs").put_resource_policy(
            policyName=name, policyDocument=r.properties.document("PolicyDocument")
        )
        return Created(name)

    def update(self, r: Resource) -> Created:
        """Replace the policy."""
        return self.create(r)

    def delete(self, r: Resource) -> None:
        """Delete the policy."""
        with gone_is_fine():
            r.client("logs").delete_resource_policy(policyName=r.physical_id)


@handler("AWS::EC2::FlowLog")
class FlowLog(Ec2Resource):
    """A record of the traffic of a VPC, a subnet or a network interface."""

    def make(self, r: Resource) -> Created:
        """Create the flow log; EC2 says by resource what went wrong."""
        wanted = r.properties.pick(
            "DeliverLogsPermissionArn",
            "LogDestination",
            "LogDestinationType",
            "LogFormat",
            "LogGroupName",
            "MaxAggregationInterval",
            "ResourceType",
            "TrafficType",
        )
        answer = call(
            r.client("ec2"), "CreateFlowLogs", ResourceIds=[r.properties["ResourceId"]], **wanted
        )
        for failed in answer.get("Unsuccessful", ()):
            raise TemplateError(f"{failed['ResourceId']}: {failed['Error']['Message']}")
        (id_,) = answer["FlowLogIds"]
        return Created(id_, {"Id": id_})

    def delete(self, r: Resource) -> None:
        """Delete the flow log; what it wrote stays."""
        with gone_is_fine():
            r.client("ec2").delete_flow_logs(FlowLogIds=[r.physical_id])
