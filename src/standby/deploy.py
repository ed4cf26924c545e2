"""Deploys a cloud assembly through the CloudFormation API, to the twin and to AWS alike.

It does what ``cdk deploy`` does, with the caller's own credentials: assets into the bootstrap
buckets, a change set per stack, executed in order of dependency, and its events followed.
Stacks that do not depend on each other are deployed at the same time.
"""

import graphlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from standby.assembly.read import Assembly, StackArtifact
from standby.assets import fill, publish
from standby.cloud import Cloud
from standby.errors import AnswerIsNo, EnvironmentProblem

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
CHANGE_SET = "standby-deploy"
FASTEST_POLL, SLOWEST_POLL = 0.05, 5.0
"""Seconds between two looks at a stack; they grow while nothing happens."""
PARALLEL = 4
"""Stacks at the same time; CloudFormation's own API is throttled well above that."""
DELETED_FIRST = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}
_PLANNING = {"CREATE_PENDING", "CREATE_IN_PROGRESS"}

Outputs = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Progress:
    """One thing that happened while deploying or destroying.

    Attributes:
        position: Number of the stack, from 1, out of ``total``.
        resource: Logical id, or None when the event is the whole stack's.
    """

    stack: str
    region: str
    position: int
    total: int
    resource: str | None
    type: str
    status: str
    reason: str | None


Listener = Callable[[Progress], None]


def deploy(assembly: Assembly, cloud: Cloud, listener: Listener) -> Outputs:
    """Bring every stack of the assembly about and give their outputs by stack name.

    Args:
        assembly: What to deploy.
        cloud: Where to.
        listener: Is told everything that happens, as it happens.

    Raises:
        AnswerIsNo: A stack failed; the message has the first failed resource and its reason.
        EnvironmentProblem: A region is not bootstrapped, or the stack is busy.
    """
    if not assembly.stacks:
        return {}
    account = _account(assembly, cloud)
    total = len(assembly.stacks)
    places = {
        stack.id: _Place(stack.name, _region(stack), position, total)
        for position, stack in enumerate(assembly.stacks, 1)
    }
    stacks = {stack.id: stack for stack in assembly.stacks}
    talk = _Talk(listener)

    def deploy_one(id: str) -> dict[str, str]:
        return _Run(cloud, places[id], talk).deploy(stacks[id], account)

    done = _in_order({id: stack.dependencies for id, stack in stacks.items()}, deploy_one, talk)
    return {stack.name: done[stack.id] for stack in assembly.stacks}


def _account(assembly: Assembly, cloud: Cloud) -> str:
    """Give the account of the credentials, which must be that of every stack that names one."""
    account = cloud.account(_region(assembly.stacks[0]))
    for stack in assembly.stacks:
        if stack.account not in {None, account}:
            raise EnvironmentProblem(
                f"stack {stack.name} belongs to account {stack.account}, "
                f"but the credentials are of {account}; set AWS_PROFILE or --profile"
            )
    return account


def _in_order(
    dependencies: Mapping[str, frozenset[str]],
    act: Callable[[str], dict[str, str]],
    talk: "_Talk",
) -> dict[str, dict[str, str]]:
    """Act on everything, each after what it depends on, and give what came of it.

    After a failure nothing new is begun, and what runs is followed to its end; an interrupt ends
    the following too.
    """
    order = graphlib.TopologicalSorter(dependencies)
    order.prepare()
    running: dict[Future[dict[str, str]], str] = {}
    done: dict[str, dict[str, str]] = {}
    failure: BaseException | None = None
    pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="deploy")
    try:
        while (order.is_active() and not failure) or running:
            if not failure:
                running |= {pool.submit(act, id): id for id in order.get_ready()}
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                id = running.pop(future)
                if error := future.exception():
                    failure = failure or error
                else:
                    done[id] = future.result()
                    order.done(id)
    except BaseException:
        talk.ended.set()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupt waits for no answer
    if failure:
        raise failure
    return done


def destroy(stacks: Sequence[tuple[str, str]], cloud: Cloud, listener: Listener) -> None:
    """Delete stacks, given as (name, region) in the order they were deployed, the last first.

    Raises:
        AnswerIsNo: A stack could not be deleted; the message has the reason.
    """
    talk = _Talk(listener)
    for position, (name, region) in enumerate(reversed(stacks), 1):
        _Run(cloud, _Place(name, region, position, len(stacks)), talk).destroy()


def _region(stack: StackArtifact) -> str:
    if stack.region is None:
        raise EnvironmentProblem(
            f"stack {stack.name} names no region; give it an explicit env in the CDK app"
        )
    return stack.region


@dataclass(frozen=True)
class _Place:
    """Which stack an operation works on, and how far the whole work has come with it."""

    stack: str
    region: str
    position: int
    total: int


class _Talk:
    """The way to the listener, for one stack at a time.

    Attributes:
        ended: Set when nobody listens any more; whoever waits for a stack then stops waiting.
    """

    def __init__(self, listener: Listener) -> None:
        self.ended = threading.Event()
        self._listener = listener
        self._lock = threading.Lock()

    def tell(self, progress: Progress) -> None:
        with self._lock:
            self._listener(progress)

    def pauses(self) -> Iterator[None]:
        """Wait between two looks, longer each time.

        Raises:
            EnvironmentProblem: The deployment was interrupted.
        """
        seconds = FASTEST_POLL
        while True:
            if self.ended.wait(seconds):
                raise EnvironmentProblem("interrupted; CloudFormation goes on by itself")
            yield
            seconds = min(seconds * 1.2, SLOWEST_POLL)


class _Run:
    """One operation on one stack."""

    def __init__(self, cloud: Cloud, at: _Place, talk: _Talk) -> None:
        self._cloud = cloud
        self._api = cloud.client("cloudformation", at.region)
        self._at = at
        self._name, self._region = at.stack, at.region
        self._talk = talk
        self._failure: Progress | None = None
        self._reason = ""

    def deploy(self, stack: StackArtifact, account: str) -> dict[str, str]:
        places = {"${AWS::AccountId}": account, "${AWS::Region}": self._region}
        places["${AWS::Partition}"] = "aws"
        for asset in stack.assets:
            publish(asset, self._cloud, self._region, places)
        current = self._current()
        if current and current["StackStatus"] in DELETED_FIRST:
            self._delete(current)
            current = None
        elif current:
            under_review = current["StackStatus"] == "REVIEW_IN_PROGRESS"
            if current["StackStatus"].endswith("_IN_PROGRESS") and not under_review:
                raise EnvironmentProblem(
                    f"stack {self._name} in {self._region} is {current['StackStatus']}; "
                    "wait until that has ended"
                )
            # An interrupted deployment may have left one, and its name can be had only once.
            self._api.delete_change_set(StackName=self._name, ChangeSetName=CHANGE_SET)
            current = None if under_review else current
        if self._create_change_set(stack, places, "UPDATE" if current else "CREATE"):
            seen = self._latest_events(self._name)
            # What a failed first deployment made goes, or it would be in the way of the second.
            self._api.execute_change_set(
                StackName=self._name, ChangeSetName=CHANGE_SET, RetainExceptOnCreate=True
            )
            self._follow(self._name, seen)
        else:
            self._tell(None, "AWS::CloudFormation::Stack", "UNCHANGED", None)
        final = self._current() or {}
        if final.get("EnableTerminationProtection", False) != stack.termination_protection:
            self._api.update_termination_protection(
                StackName=self._name, EnableTerminationProtection=stack.termination_protection
            )
        return {o["OutputKey"]: o["OutputValue"] for o in final.get("Outputs", ())}

    def destroy(self) -> None:
        if current := self._current():
            self._delete(current)

    def _current(self) -> Mapping[str, Any] | None:
        try:
            answer = self._api.describe_stacks(StackName=self._name)
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        stack: Mapping[str, Any] = answer["Stacks"][0]
        return stack

    def _create_change_set(
        self, stack: StackArtifact, places: Mapping[str, str], kind: str
    ) -> bool:
        """Plan the change; say whether there is any.

        Raises:
            AnswerIsNo: CloudFormation refuses the template.
        """
        bucket, _, key = fill(stack.template_url or "", places).removeprefix("s3://").partition("/")
        if not key:
            raise EnvironmentProblem(
                f"stack {self._name}: the assembly does not say where its template is published"
            )
        api, names = self._api, {"StackName": self._name, "ChangeSetName": CHANGE_SET}
        try:
            api.create_change_set(
                **names,
                ChangeSetType=kind,
                TemplateURL=f"https://s3.{self._region}.amazonaws.com/{bucket}/{key}",
                Capabilities=CAPABILITIES,
                Tags=[{"Key": k, "Value": v} for k, v in sorted(stack.tags.items())],
            )
        except ClientError as error:
            raise AnswerIsNo(f"{self._name}: {error.response['Error']['Message']}") from None
        pauses = self._talk.pauses()
        while (answer := api.describe_change_set(**names))["Status"] in _PLANNING:
            next(pauses)
        if answer["Status"] == "FAILED":
            reason = answer.get("StatusReason", "")
            api.delete_change_set(**names)
            if "didn't contain changes" in reason or "No updates" in reason:
                return False
            raise AnswerIsNo(f"{self._name} in {self._region} cannot be deployed: {reason}")
        return True

    def _delete(self, current: Mapping[str, Any]) -> None:
        seen = self._latest_events(current["StackId"])
        try:
            self._api.delete_stack(StackName=self._name)
        except ClientError as error:
            raise AnswerIsNo(f"{self._name}: {error.response['Error']['Message']}") from None
        status = self._follow(current["StackId"], seen)
        if status != "DELETE_COMPLETE":  # an export that is in use ends it as it began
            reason = self._reason or status
            raise AnswerIsNo(f"{self._name} in {self._region} cannot be deleted: {reason}")

    def _latest_events(self, stack: str) -> set[str]:
        """Name the events of a stack so far, or as many of them as one page holds."""
        answer = self._api.describe_stack_events(StackName=stack)
        return {event["EventId"] for event in answer["StackEvents"]}

    def _follow(self, stack: str, seen: set[str]) -> str:
        """Report the stack's events after those ``seen``; give the status that it ends with.

        Raises:
            AnswerIsNo: It ended badly.
        """
        status = "_IN_PROGRESS"
        pauses = self._talk.pauses()
        while status.endswith("_IN_PROGRESS"):
            next(pauses)
            if events := self._new_events(stack, seen):
                pauses = self._talk.pauses()
            for event in events:
                whole = event.get("PhysicalResourceId") == event["StackId"]
                self._tell(
                    None if whole else event["LogicalResourceId"],
                    event["ResourceType"],
                    event["ResourceStatus"],
                    event.get("ResourceStatusReason"),
                )
                if whole:
                    status = event["ResourceStatus"]
                    self._reason = event.get("ResourceStatusReason") or self._reason
        if "ROLLBACK" in status or status.endswith("FAILED"):
            cause = self._failure
            what = f"{cause.resource} ({cause.type}): {cause.reason}" if cause else self._reason
            raise AnswerIsNo(f"{self._name} in {self._region} ended as {status}: {what}")
        return status

    def _new_events(self, stack: str, seen: set[str]) -> list[Mapping[str, Any]]:
        """Give the events not in ``seen``, the oldest first, and add them to it."""
        fresh: list[Mapping[str, Any]] = []
        for page in self._api.get_paginator("describe_stack_events").paginate(StackName=stack):
            new = [event for event in page["StackEvents"] if event["EventId"] not in seen]
            fresh += new
            if len(new) < len(page["StackEvents"]):
                break
        seen.update(event["EventId"] for event in fresh)
        return fresh[::-1]

    def _tell(self, resource: str | None, kind: str, status: str, reason: str | None) -> None:
        progress = Progress(
            **vars(self._at),
            resource=resource,
            type=kind,
            status=status,
            reason=reason,
        )
        cancelled = "cancelled" in (reason or "").lower()
        if resource and status.endswith("_FAILED") and not self._failure and not cancelled:
            self._failure = progress
        self._talk.tell(progress)
