"""Open questions about fleets and lists, asked of AWS with one small instance, and with requests that launch nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from support.live.ground import TAGS, TOO_LOW, Ground, code_of, launched, refusals, specification
from support.live.journal import AS_ASSUMED, OPEN, OTHERWISE
from support.live.settings import PROBES, TAG_KEY

# `destroy` and `nuke` scan again after so many seconds (docs/cleanup.md, "The second look").
SECOND_LOOK_S = 12.0
# Types without the letter T, the cheapest first; AWS launches the first of them that has capacity.
NOT_BURSTABLE = ("c7a.medium", "m7a.medium", "r7a.medium", "c6a.large", "m6a.large", "c5.large", "m5.large")
Result = tuple[str, str, dict[str, Any]]  # outcome, words, facts


@dataclass
class FleetProbes:
    """In this order: the later ones look at what the first has launched."""

    ground: Ground
    run: str  # makes the tokens of this run different from those of another
    request: dict[str, Any] = field(default_factory=dict)
    reply: dict[str, Any] = field(default_factory=dict)
    appeared_s: dict[str, float] = field(default_factory=dict)
    fleets: list[str] = field(default_factory=list)

    @property
    def instances(self) -> list[str]:
        return launched(self.reply)

    def tags_in_both(self) -> Result:
        """The same keys for instances in the template and in the call."""
        template = self.ground.new_template("probe", tagged=("instance", "spot-instances-request"))
        self.request = self.ground.fleet(template, token=f"{self.run}-both")
        try:
            self.reply = self.ground.ec2.create_fleet(**self.request)
        except ClientError as error:
            return OTHERWISE, f"the call is rejected: {code_of(error)}", {}
        self.fleets.append(self.reply["FleetId"])
        facts: dict[str, Any] = {"launched": len(self.instances), "errors": refusals(self.reply)}
        if not self.instances:
            return OPEN, f"nothing was launched: {', '.join(facts['errors'])}", facts
        self._watch()
        return AS_ASSUMED, "accepted, and launched", facts

    def _watch(self) -> None:
        """The seconds until each list shows the fleet and its instance."""
        ground, began = self.ground, self.ground.place.clock.monotonic_s()
        fleet_id, (instance_id, *_) = self.reply["FleetId"], self.instances
        ours = [{"Name": f"tag:{TAG_KEY}", "Values": [PROBES]}]

        def tagged() -> list[str]:
            ids = [
                {"Name": "resource-id", "Values": [fleet_id, instance_id]},
                {"Name": "key", "Values": [TAG_KEY]},
            ]
            return [row["ResourceId"] for row in ground.ec2.describe_tags(Filters=ids)["Tags"]]

        def instances() -> list[str]:
            pages = ground.ec2.describe_instances(Filters=ours)["Reservations"]
            return [row["InstanceId"] for page in pages for row in page["Instances"]]

        def requests() -> list[str]:
            rows = ground.ec2.describe_spot_instance_requests(Filters=ours)["SpotInstanceRequests"]
            return [row.get("InstanceId", "") for row in rows]

        def look() -> bool:
            now = ground.place.clock.monotonic_s() - began
            tags = tagged()
            seen = {
                "fleet in DescribeTags": fleet_id in tags,
                "instance in DescribeTags": instance_id in tags,
                "instance in DescribeInstances": instance_id in instances(),
                "spot request in DescribeSpotInstanceRequests": instance_id in requests(),
            }
            for name, found in seen.items():
                if found:
                    self.appeared_s.setdefault(name, round(now, 1))
            return all(seen.values())

        ground.place.until("all lists have the new instance", look, within_s=120, every_s=0.5)

    def lists(self) -> tuple[Result, Result]:
        """Their order, and their lag."""
        if not self.appeared_s:
            nothing: Result = (OPEN, "nothing was launched", {})
            return nothing, nothing
        slowest = max(self.appeared_s.values())
        words = ", ".join(f"{name} after {seconds} s" for name, seconds in self.appeared_s.items())
        facts = dict(self.appeared_s)
        return (AS_ASSUMED, words, facts), (
            AS_ASSUMED if slowest <= SECOND_LOOK_S else OTHERWISE,
            words,
            facts,
        )

    def same_token(self) -> Result:
        if not self.instances:
            return OPEN, "nothing was launched", {}
        again = self.ground.ec2.create_fleet(**self.request)
        filters = [{"Name": "tag:aws:ec2:fleet-id", "Values": [self.reply["FleetId"]]}]
        pages = self.ground.ec2.describe_instances(Filters=filters)["Reservations"]
        counted = sum(len(page["Instances"]) for page in pages)
        facts = {
            "same fleet": again["FleetId"] == self.reply["FleetId"],
            "instances in the answer": len(launched(again)),
            "instances of the fleet": counted,
        }
        one = facts["same fleet"] and counted == len(self.instances)
        listed = "lists the instances" if launched(again) else "lists no instance"
        return (
            (AS_ASSUMED if one else OTHERWISE),
            f"the repeated call {listed}; the fleet has {counted}",
            facts,
        )

    def launches_nothing(self) -> Result:
        ground = self.ground
        template = ground.new_template("refused", tagged=("spot-instances-request",))
        request = ground.fleet(template, token=f"{self.run}-low", max_price=TOO_LOW)
        reply = ground.ec2.create_fleet(**request)
        self.fleets.append(reply["FleetId"])
        if launched(reply):
            ground.terminate(*launched(reply))
            return OTHERWISE, f"an instance costs less than {TOO_LOW} USD", {}
        filters = [{"Name": "resource-id", "Values": [reply["FleetId"]]}]
        try:
            _, seconds = ground.place.until(
                "the fleet in DescribeTags",
                lambda: ground.ec2.describe_tags(Filters=filters)["Tags"],
                within_s=60,
            )
        except AssertionError:
            seconds = -1.0
        again = ground.ec2.create_fleet(**request)
        facts = {
            "errors": refusals(reply),
            "listed after s": seconds,
            "the repeated call returns the same fleet": again["FleetId"] == reply["FleetId"],
            "its errors": refusals(again),
        }
        if again["FleetId"] != reply["FleetId"]:
            self.fleets.append(again["FleetId"])
        when = f"listed after {seconds} s" if seconds >= 0 else "not listed within 60 s"
        return (
            AS_ASSUMED,
            f"{when}; a repeated token returns {', '.join(refusals(again)) or 'no error'}",
            facts,
        )

    def new_subnet(self) -> Result:
        ground, ec2 = self.ground, self.ground.ec2
        template = ground.new_template("subnet", tagged=("spot-instances-request",))
        made = ec2.create_subnet(
            VpcId=ground.vpc_id,
            CidrBlock=ground.free_block(),
            AvailabilityZone=ground.zone(ground.subnets[0]),
            TagSpecifications=specification("subnet"),
        )
        subnet_id = made["Subnet"]["SubnetId"]
        request = ground.fleet(
            template, token=f"{self.run}-new", max_price=TOO_LOW, subnets=ground.subnets[:1]
        )
        (config,) = request["LaunchTemplateConfigs"]
        config["Overrides"] = [{**row, "SubnetId": subnet_id} for row in config["Overrides"]]
        try:
            reply = ec2.create_fleet(**request)
            self.fleets.append(reply["FleetId"])
            unknown = [code for code in refusals(reply) if "NotFound" in code]
            where = "rejects single pools" if unknown else "finds the subnet at once"
            facts = {"errors": refusals(reply)}
        except ClientError as error:
            where, facts = "rejects the whole call", {"errors": [code_of(error)]}
        finally:
            ec2.delete_subnet(SubnetId=subnet_id)
        return AS_ASSUMED, f"AWS {where} ({', '.join(facts['errors']) or 'no error'})", facts

    def credits(self) -> Result:
        """A pool of the program has CreditSpecification only if its type is a T."""
        ground = self.ground
        template = ground.new_template(
            "credits",
            tagged=("spot-instances-request",),
            more={"CreditSpecification": {"CpuCredits": "standard"}},
        )
        reply = ground.ec2.create_fleet(
            **ground.fleet(template, token=f"{self.run}-credits", types=NOT_BURSTABLE)
        )
        self.fleets.append(reply["FleetId"])
        facts: dict[str, Any] = {
            "errors": refusals(reply),
            "types": [row.get("InstanceType") for row in reply.get("Instances", ())],
        }
        ground.terminate(*launched(reply))
        if launched(reply):
            return AS_ASSUMED, f"accepted for {', '.join(facts['types'])}", facts
        return AS_ASSUMED, f"not launched: {', '.join(facts['errors'])}", facts

    def deleted_fleet(self) -> Result:
        """After the termination of their instances."""
        ground, ec2 = self.ground, self.ground.ec2
        ground.terminate(*self.instances)
        if not self.fleets:
            return OPEN, "no fleet was made", {}
        ec2.delete_fleets(FleetIds=self.fleets, TerminateInstances=True)

        def states() -> set[str]:
            return {row["FleetState"] for row in ec2.describe_fleets(FleetIds=self.fleets)["Fleets"]}

        def deleted() -> set[str]:
            return states() if all(state.startswith("deleted") for state in states()) else set()

        found, seconds = ground.place.until("the deletion of the fleets", deleted, within_s=120, every_s=5)
        ground.place.sleep(60)
        rows = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": self.fleets}])["Tags"]
        tagged = len({row["ResourceId"] for row in rows})
        facts: dict[str, Any] = {
            "states": sorted(found | states()),
            "deleted after s": seconds,
            "with tags after a minute": tagged,
        }
        words = f"{', '.join(facts['states'])}; after a minute {tagged} of {len(self.fleets)} have their tags"
        return AS_ASSUMED, words, facts

    def prices_of_all_types(self) -> Result:
        ec2 = self.ground.ec2
        pages = ec2.get_paginator("describe_instance_type_offerings").paginate(LocationType="region")
        types = sorted({row["InstanceType"] for page in pages for row in page["InstanceTypeOfferings"]})
        now = self.ground.place.clock.now()
        try:
            reply = ec2.describe_spot_price_history(
                InstanceTypes=types, ProductDescriptions=["Linux/UNIX"], StartTime=now, MaxResults=1000
            )
        except ClientError as error:
            return OTHERWISE, f"{len(types)} types are rejected: {code_of(error)}", {"types": len(types)}
        facts = {"types": len(types), "rows": len(reply["SpotPriceHistory"])}
        return AS_ASSUMED, f"{len(types)} types are accepted", facts


assert TAGS[TAG_KEY] == PROBES
