/** Network: one VPC per region, three tiers of subnets in every Availability Zone. */

import { Aws, CfnOutput, Fn, Stack, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import { LOG_RETENTION, REMOVAL_POLICY } from './retention';
import type { Settings } from './settings';

export interface VpcStackProps extends StackProps {
  readonly settings: Settings;
  readonly cidr: string;
}

export class VpcStack extends Stack {
  public readonly vpc: ec2.Vpc;
  public readonly routeTableIds: Record<string, string>;

  constructor(scope: Construct, id: string, props: VpcStackProps) {
    super(scope, id, props);
    const { settings, cidr } = props;
    this.vpc = new ec2.Vpc(this, 'Vpc', {
      ipAddresses: ec2.IpAddresses.cidr(cidr),
      availabilityZones: Array.from({ length: settings.azCount }, (_, i) => Fn.select(i, Fn.getAzs())),
      natGateways: settings.natGateways,
      subnetConfiguration: [
        {
          name: 'Public',
          subnetType: ec2.SubnetType.PUBLIC,
          cidrMask: settings.subnetMask,
          mapPublicIpOnLaunch: false,
        },
        {
          name: 'Private',
          subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS,
          cidrMask: settings.subnetMask,
        },
        {
          name: 'Isolated',
          subnetType: ec2.SubnetType.PRIVATE_ISOLATED,
          cidrMask: settings.subnetMask,
        },
      ],
      gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
      restrictDefaultSecurityGroup: false,
    });
    acknowledge(this.vpc, {
      'AwsSolutions-VPC7': 'SecurityStack has the flow log: it owns the key (FlowLogs).',
    });
    const subnets = [...this.vpc.publicSubnets, ...this.vpc.privateSubnets, ...this.vpc.isolatedSubnets];
    this.routeTableIds = Object.fromEntries(
      subnets.map((subnet) => [subnet.node.id, subnet.routeTable.routeTableId]),
    );
    new CfnOutput(this, 'VpcId', { value: this.vpc.vpcId });
    new CfnOutput(this, 'VpcCidr', { value: cidr });
  }
}

export interface FlowLogsProps {
  readonly vpc: ec2.IVpc;
  readonly key: kms.IKey;
}

export class FlowLogs extends Construct {
  constructor(scope: Construct, id: string, props: FlowLogsProps) {
    super(scope, id);
    const logGroup = new logs.LogGroup(this, 'LogGroup', {
      encryptionKey: props.key,
      retention: LOG_RETENTION,
      removalPolicy: REMOVAL_POLICY,
    });
    const role = new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('vpc-flow-logs.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
      description: 'Lets VPC Flow Logs write to its log group',
    });
    new ec2.FlowLog(this, 'FlowLog', {
      resourceType: ec2.FlowLogResourceType.fromVpc(props.vpc),
      trafficType: ec2.FlowLogTrafficType.ALL,
      destination: ec2.FlowLogDestination.toCloudWatchLogs(logGroup, role),
    });
  }
}
