/** Resilience: the experiment that takes the primary's front door away, and the yardstick. */

import { Aws, CfnOutput, CfnResource, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as fis from 'aws-cdk-lib/aws-fis';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as resiliencehub from 'aws-cdk-lib/aws-resiliencehub';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import { primaryIdentifier } from './database';
import { notify } from './monitoring';
import { LOG_RETENTION, REMOVAL_POLICY } from './retention';
import type { Settings } from './settings';

/** Spelled as AWS spells it. */
const ASSESSMENT_POLICY = 'AWSResilienceHubAsssessmentExecutionPolicy';

const SHORTEST = Duration.minutes(1);
const LONGEST = Duration.hours(12);
const MAX_UNSHIPPED_BYTES = 256 * 2 ** 20;
const COMPONENTS: Record<string, [title: string, type: string]> = {
  'AWS::ElasticLoadBalancingV2::LoadBalancer': [
    'load-balancers',
    'AWS::ResilienceHub::NetworkingAppComponent',
  ],
  'AWS::AutoScaling::AutoScalingGroup': ['instances', 'AWS::ResilienceHub::ComputeAppComponent'],
  'AWS::RDS::DBInstance': ['databases', 'AWS::ResilienceHub::DatabaseAppComponent'],
  'AWS::EFS::FileSystem': ['files', 'AWS::ResilienceHub::StorageAppComponent'],
  'AWS::Route53::RecordSet': ['dns', 'AWS::ResilienceHub::NetworkingAppComponent'],
};

export interface ResilienceStackProps extends StackProps {
  readonly settings: Settings;
  readonly vpc: ec2.IVpc;
  readonly key: kms.IKey;
  readonly alarmTopic: sns.ITopic;
  readonly stacks: Stack[];
}

export class ResilienceStack extends Stack {
  private readonly settings: Settings;

  constructor(scope: Construct, id: string, props: ResilienceStackProps) {
    super(scope, id, props);
    this.settings = props.settings;
    const experiment = this.experiment(props);
    const app = this.app(props.stacks);
    new CfnOutput(this, 'ExperimentTemplateId', { value: experiment.attrId });
    new CfnOutput(this, 'ResilienceHubAppArn', { value: app.attrAppArn });
  }

  private experiment(props: ResilienceStackProps): fis.CfnExperimentTemplate {
    const { settings } = this;
    const subnets = props.vpc.publicSubnets.map((subnet) => this.ec2Arn('subnet', subnet.subnetId));
    const logGroup = new logs.LogGroup(this, 'ExperimentLog', {
      logGroupName: `/aws/vendedlogs/fis/${settings.stackName}`,
      encryptionKey: props.key,
      retention: LOG_RETENTION,
      removalPolicy: REMOVAL_POLICY,
    });
    const minutes = Math.min(
      Math.max(2 * settings.rto.toMinutes(), SHORTEST.toMinutes()),
      LONGEST.toMinutes(),
    );
    return new fis.CfnExperimentTemplate(this, 'Experiment', {
      description: "Cuts the primary load balancer's subnets off, so that /health fails",
      roleArn: this.experimentRole(props.vpc, subnets).roleArn,
      targets: {
        LoadBalancerSubnets: {
          resourceType: 'aws:ec2:subnet',
          resourceArns: subnets,
          selectionMode: 'ALL',
        },
      },
      actions: {
        CutOff: {
          actionId: 'aws:network:disrupt-connectivity',
          parameters: { scope: 'all', duration: `PT${Math.ceil(minutes)}M` },
          targets: { Subnets: 'LoadBalancerSubnets' },
        },
      },
      experimentOptions: { accountTargeting: 'single-account', emptyTargetResolutionMode: 'fail' },
      stopConditions: [{ source: 'aws:cloudwatch:alarm', value: this.guard(props.alarmTopic).alarmArn }],
      logConfiguration: {
        logSchemaVersion: 2,
        cloudWatchLogsConfiguration: { LogGroupArn: logGroup.logGroupArn },
      },
      tags: { Name: `${settings.stackName}-cut-off-primary` },
    });
  }

  private guard(topic: sns.ITopic): cloudwatch.Alarm {
    const alarm = new cloudwatch.Alarm(this, 'ReplicationGuard', {
      alarmDescription: "The replica lacks too much of the primary's log; also stops a running experiment",
      metric: new cloudwatch.Metric({
        namespace: 'AWS/RDS',
        metricName: 'OldestReplicationSlotLag',
        dimensionsMap: { DBInstanceIdentifier: primaryIdentifier(this.settings) },
        statistic: 'Maximum',
        period: Duration.minutes(1),
      }),
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      threshold: MAX_UNSHIPPED_BYTES,
      evaluationPeriods: 3,
      treatMissingData: cloudwatch.TreatMissingData.BREACHING,
    });
    return notify(alarm, topic);
  }

  private experimentRole(vpc: ec2.IVpc, subnets: string[]): iam.Role {
    const acls = this.ec2Arn('network-acl', '*');
    const vpcArn = this.ec2Arn('vpc', vpc.vpcId);
    const madeByFis = { 'aws:RequestTag/managedByFIS': 'true' };
    const inVpc = { ArnEquals: { 'ec2:Vpc': vpcArn } };
    const role = new iam.Role(this, 'ExperimentRole', {
      description: "Lets FIS cut off the load balancer's subnets",
      assumedBy: new iam.ServicePrincipal('fis.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
      inlinePolicies: {
        DisruptConnectivity: new iam.PolicyDocument({
          statements: [
            new iam.PolicyStatement({ actions: ['ec2:CreateNetworkAcl'], resources: [vpcArn] }),
            new iam.PolicyStatement({
              actions: ['ec2:CreateNetworkAcl'],
              resources: [acls],
              conditions: { StringEquals: madeByFis },
            }),
            new iam.PolicyStatement({
              actions: ['ec2:CreateTags'],
              resources: [acls],
              conditions: { StringEquals: { ...madeByFis, 'ec2:CreateAction': 'CreateNetworkAcl' } },
            }),
            new iam.PolicyStatement({
              actions: ['ec2:CreateNetworkAclEntry', 'ec2:DeleteNetworkAcl'],
              resources: [acls],
              conditions: { ...inVpc, StringEquals: { 'ec2:ResourceTag/managedByFIS': 'true' } },
            }),
            new iam.PolicyStatement({
              actions: ['ec2:ReplaceNetworkAclAssociation'],
              resources: [...subnets, acls],
              conditions: inVpc,
            }),
            new iam.PolicyStatement({
              actions: [
                'ec2:DescribeManagedPrefixLists',
                'ec2:DescribeNetworkAcls',
                'ec2:DescribeSubnets',
                'ec2:DescribeVpcs',
                'ec2:GetManagedPrefixListEntries',
              ],
              resources: ['*'],
            }),
            new iam.PolicyStatement({
              actions: [
                'logs:CreateLogDelivery',
                'logs:DescribeLogGroups',
                'logs:DescribeResourcePolicies',
                'logs:PutResourcePolicy',
              ],
              resources: ['*'],
            }),
          ],
        }),
      },
    });
    const anyAcl = `Resource::arn:aws:ec2:${this.region}:<AWS::AccountId>:network-acl/*`;
    acknowledge(role, {
      'AwsSolutions-IAM5[Resource::*]':
        'Actions that only describe the network, or that ' +
        "know no resources: they set up the delivery of the experiment's log.",
      [`AwsSolutions-IAM5[${anyAcl}]`]:
        'The ACL comes into being during the experiment. ' +
        'Conditions hold the role to this VPC and to ACLs tagged managedByFIS.',
    });
    return role;
  }

  private ec2Arn(resource: string, resourceName: string): string {
    return this.formatArn({ service: 'ec2', resource, resourceName });
  }

  private app(stacks: Stack[]): resiliencehub.CfnApp {
    const { settings } = this;
    const objective = { rtoInSecs: settings.rto.toSeconds(), rpoInSecs: settings.rpo.toSeconds() };
    const policy = new resiliencehub.CfnResiliencyPolicy(this, 'Policy', {
      policyName: settings.stackName,
      policyDescription: 'The objectives of the settings, for every kind of disruption',
      tier: 'Critical',
      policy: { Region: objective, AZ: objective, Hardware: objective, Software: objective },
    });
    const invoker = new iam.Role(this, 'AssessmentRole', {
      description: 'Lets Resilience Hub read the configuration of what it assesses',
      assumedBy: new iam.ServicePrincipal('resiliencehub.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
      managedPolicies: [iam.ManagedPolicy.fromAwsManagedPolicyName(ASSESSMENT_POLICY)],
    });
    acknowledge(invoker, {
      [`AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${ASSESSMENT_POLICY}]`]:
        "AWS's own list of what an assessment reads, which it " +
        'extends as the assessment grows; a copy would fall behind unnoticed.',
    });
    return new resiliencehub.CfnApp(this, 'App', {
      name: settings.stackName,
      description: `Warm standby: ${settings.primaryRegion}, ${settings.standbyRegion}`,
      appAssessmentSchedule: 'Daily',
      resiliencyPolicyArn: policy.attrPolicyArn,
      permissionModel: { type: 'RoleBased', invokerRoleName: invoker.roleName },
      resourceMappings: stacks.map((stack) => ({
        mappingType: 'CfnStack',
        logicalStackName: stack.stackName,
        physicalResourceId: { type: 'Arn', identifier: stack.stackId },
      })),
      appTemplateBody: templateBody(stacks),
    });
  }
}

function templateBody(stacks: Stack[]): string {
  const resources: object[] = [];
  const components = new Map<string, { name: string; type: string; resourceNames: string[] }>([
    [
      'appcommon',
      { name: 'appcommon', type: 'AWS::ResilienceHub::AppCommonAppComponent', resourceNames: [] },
    ],
  ]);
  for (const stack of stacks) {
    for (const construct of stack.node.findAll()) {
      const component = CfnResource.isCfnResource(construct) && COMPONENTS[construct.cfnResourceType];
      if (!component) {
        continue;
      }
      const logicalId = stack.resolve(construct.logicalId) as string;
      const name = `${stack.node.id}-${logicalId}`;
      resources.push({
        logicalResourceId: { identifier: logicalId, logicalStackName: stack.stackName },
        type: construct.cfnResourceType,
        name,
      });
      const [title, type] = component;
      const entry = components.get(title) ?? { name: title, type, resourceNames: [] };
      entry.resourceNames.push(name);
      components.set(title, entry);
    }
  }
  return JSON.stringify({
    resources,
    appComponents: [...components.values()],
    excludedResources: { logicalResourceIds: [] },
    version: 2,
  });
}
