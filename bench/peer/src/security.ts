/** Security: one key, one set of security groups and one instance role per region. */

import { Aws, CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import { FlowLogs } from './network';
import { REMOVAL_POLICY } from './retention';
import type { Settings } from './settings';

export const HTTP = 80;
export const HTTPS = 443;
export const POSTGRESQL = 5432;
export const NFS = 2049;

export function keyAlias(settings: Settings, region: string): string {
  return `alias/standby-${settings.environmentSuffix}-${region}`;
}

export interface SecurityStackProps extends StackProps {
  readonly settings: Settings;
  readonly vpc: ec2.IVpc;
  readonly peerCidr: string;
}

export class SecurityStack extends Stack {
  public readonly key: kms.Key;
  public readonly instanceRole: iam.IRole;
  public readonly loadBalancerSg: ec2.SecurityGroup;
  public readonly instanceSg: ec2.SecurityGroup;
  public readonly databaseSg: ec2.SecurityGroup;
  public readonly fileSystemSg: ec2.SecurityGroup;
  private readonly vpc: ec2.IVpc;

  constructor(scope: Construct, id: string, props: SecurityStackProps) {
    super(scope, id, props);
    const { settings } = props;
    this.vpc = props.vpc;
    this.key = new kms.Key(this, 'Key', {
      alias: keyAlias(settings, this.region),
      description: `Data at rest of ${settings.stackName} in ${this.region}`,
      enableKeyRotation: true,
      policy: this.keyPolicy(),
      pendingWindow: Duration.days(settings.deletionProtection ? 30 : 7),
      removalPolicy: REMOVAL_POLICY,
    });
    this.instanceRole = this.createInstanceRole();
    this.loadBalancerSg = this.group('LoadBalancerSg', 'Load balancer');
    this.instanceSg = this.group('InstanceSg', 'Application instances');
    this.databaseSg = this.group('DatabaseSg', 'Database; no way out');
    this.fileSystemSg = this.group('FileSystemSg', 'Shared files; no way out');
    this.openPaths(ec2.Peer.ipv4(props.peerCidr));
    acknowledge(this.key, {
      CKV_AWS_33:
        "Any principal, on the condition that it is the account's Auto Scaling " +
        "service-linked role; see the statements' comment.",
    });
    const open = 'The application is public; this group is its only way in and leads to instances.';
    acknowledge(this.loadBalancerSg, { 'AwsSolutions-EC23': open, CKV_AWS_260: open });
    new FlowLogs(this, 'FlowLogs', { vpc: props.vpc, key: this.key });
    new CfnOutput(this, 'KmsKeyArn', { value: this.key.keyArn });
  }

  private group(id: string, description: string): ec2.SecurityGroup {
    return new ec2.SecurityGroup(this, id, { vpc: this.vpc, description, allowAllOutbound: false });
  }

  private openPaths(peer: ec2.IPeer): void {
    const anywhere = ec2.Peer.anyIpv4();
    this.loadBalancerSg.addIngressRule(
      anywhere,
      ec2.Port.tcp(HTTP),
      `Clients on the internet, port ${HTTP}`,
    );
    const paths: [ec2.SecurityGroup, ec2.SecurityGroup, number, string][] = [
      [this.loadBalancerSg, this.instanceSg, HTTP, 'Load balancer to instances'],
      [this.instanceSg, this.databaseSg, POSTGRESQL, 'Instances to the database'],
      [this.instanceSg, this.fileSystemSg, NFS, 'Instances to the shared files'],
    ];
    for (const [source, target, port, what] of paths) {
      source.addEgressRule(ec2.Peer.securityGroupId(target.securityGroupId), ec2.Port.tcp(port), what);
      target.addIngressRule(source, ec2.Port.tcp(port), what);
    }
    this.instanceSg.addEgressRule(
      peer,
      ec2.Port.tcp(POSTGRESQL),
      "Instances to the other region's database",
    );
    this.databaseSg.addIngressRule(peer, ec2.Port.tcp(POSTGRESQL), "The other region's instances");
    this.instanceSg.addEgressRule(anywhere, ec2.Port.tcp(HTTPS), 'AWS APIs and packages through NAT');
  }

  private createInstanceRole(): iam.IRole {
    const role = new iam.Role(this, 'InstanceRole', {
      assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com'),
      description: 'Role of the application instances',
    });
    role.addToPolicy(
      new iam.PolicyStatement({
        sid: 'SessionManager',
        actions: [
          'ssm:UpdateInstanceInformation',
          'ssmmessages:CreateControlChannel',
          'ssmmessages:CreateDataChannel',
          'ssmmessages:OpenControlChannel',
          'ssmmessages:OpenDataChannel',
        ],
        resources: ['*'],
      }),
    );
    const noResource =
      'The channels of Session Manager have no resource to name, and its documented minimal ' +
      "policy names none for the instance's own registration.";
    acknowledge(role.node.findChild('DefaultPolicy'), {
      'AwsSolutions-IAM5[Resource::*]': noResource,
      CKV_AWS_111: noResource,
    });
    return role.withoutPolicyUpdates();
  }

  private keyPolicy(): iam.PolicyDocument {
    const use = ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'];
    const logGroups = this.formatArn({ service: 'logs', resource: 'log-group:*' });
    const autoscalingRole = this.formatArn({
      service: 'iam',
      region: '',
      resource: 'role/aws-service-role/autoscaling.amazonaws.com',
      resourceName: 'AWSServiceRoleForAutoScaling',
    });
    const launchesInstances = { ArnEquals: { 'aws:PrincipalArn': autoscalingRole } };
    return new iam.PolicyDocument({
      statements: [
        new iam.PolicyStatement({
          sid: 'AccountAdministersThroughIam',
          principals: [new iam.AccountRootPrincipal()],
          actions: ['kms:*'],
          resources: ['*'],
        }),
        new iam.PolicyStatement({
          sid: 'LogsOfThisAccount',
          principals: [new iam.ServicePrincipal(`logs.${this.region}.amazonaws.com`)],
          actions: use,
          resources: ['*'],
          conditions: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': logGroups } },
        }),
        new iam.PolicyStatement({
          sid: 'AlarmsOfThisAccountToEncryptedTopics',
          principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
          actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
          resources: ['*'],
          conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
        }),
        new iam.PolicyStatement({
          sid: 'AutoScalingUsesEncryptedVolumes',
          principals: [new iam.AnyPrincipal()],
          actions: use,
          resources: ['*'],
          conditions: launchesInstances,
        }),
        new iam.PolicyStatement({
          sid: 'AutoScalingGrantsVolumesToEc2',
          principals: [new iam.AnyPrincipal()],
          actions: ['kms:CreateGrant'],
          resources: ['*'],
          conditions: { ...launchesInstances, Bool: { 'kms:GrantIsForAWSResource': 'true' } },
        }),
      ],
    });
  }
}
