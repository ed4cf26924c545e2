/** Peering: a private path between the two VPCs, for every tier, both ways. */

import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';

export interface VpcPeeringStackProps extends StackProps {
  readonly vpc: ec2.IVpc;
  readonly routeTableIds: Record<string, string>;
  readonly peerVpc: ec2.IVpc;
  readonly peerCidr: string;
  readonly peerRegion: string;
}

export class VpcPeeringStack extends Stack {
  public readonly connectionId: string;

  constructor(scope: Construct, id: string, props: VpcPeeringStackProps) {
    super(scope, id, props);
    const connection = new ec2.CfnVPCPeeringConnection(this, 'Connection', {
      vpcId: props.vpc.vpcId,
      peerVpcId: props.peerVpc.vpcId,
      peerRegion: props.peerRegion,
    });
    this.connectionId = connection.ref;
    routeToPeer(this, props.routeTableIds, props.peerCidr, this.connectionId);
    new CfnOutput(this, 'VpcPeeringConnectionId', { value: this.connectionId });
  }
}

export interface VpcPeeringRoutesStackProps extends StackProps {
  readonly routeTableIds: Record<string, string>;
  readonly peerCidr: string;
  readonly connectionId: string;
}

export class VpcPeeringRoutesStack extends Stack {
  constructor(scope: Construct, id: string, props: VpcPeeringRoutesStackProps) {
    super(scope, id, props);
    routeToPeer(this, props.routeTableIds, props.peerCidr, props.connectionId);
    new CfnOutput(this, 'VpcPeeringConnectionId', { value: props.connectionId });
  }
}

function routeToPeer(
  stack: Stack,
  routeTableIds: Record<string, string>,
  peerCidr: string,
  connectionId: string,
): void {
  for (const [subnet, routeTableId] of Object.entries(routeTableIds)) {
    new ec2.CfnRoute(stack, `${subnet}Route`, {
      routeTableId,
      destinationCidrBlock: peerCidr,
      vpcPeeringConnectionId: connectionId,
    });
  }
}
