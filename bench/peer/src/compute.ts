/** Compute: a load balancer and the instances behind it, one set per region. */

import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as efs from 'aws-cdk-lib/aws-efs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import { HEALTH_PATH, Instance, SIGNALLED_RESOURCE } from './instance';
import { notify } from './monitoring';
import { HTTP } from './security';
import type { Settings } from './settings';

const BOOT_TIMEOUT = Duration.minutes(20);
const WARMUP = Duration.minutes(3);
const AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD;
const AT_MOST = cloudwatch.ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD;
const BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD;
const IGNORED = cloudwatch.TreatMissingData.NOT_BREACHING;
const BREACHING = cloudwatch.TreatMissingData.BREACHING;
const CPU_TARGET = 50;
const SURGE = 75;
const SURGE_MINUTES = 2;
const IDLE = 20;
const IDLE_MINUTES = 30;

export interface ComputeStackProps extends StackProps {
  readonly settings: Settings;
  readonly minCapacity: number;
  readonly vpc: ec2.IVpc;
  readonly key: kms.IKey;
  readonly instanceRole: iam.IRole;
  readonly loadBalancerSg: ec2.ISecurityGroup;
  readonly instanceSg: ec2.ISecurityGroup;
  readonly fileSystem: efs.IFileSystem;
  readonly accessPoint: efs.IAccessPoint;
  readonly databaseEndpoint: string;
  readonly databaseSecretName: string;
  readonly alarmTopic: sns.ITopic;
}

export class ComputeStack extends Stack {
  public readonly loadBalancer: elbv2.ApplicationLoadBalancer;
  public readonly targetGroup: elbv2.ApplicationTargetGroup;
  public readonly autoScalingGroup: autoscaling.AutoScalingGroup;
  private readonly groupDimension: Record<string, string>;
  private readonly cpu: cloudwatch.Metric;
  private readonly props: ComputeStackProps;

  constructor(scope: Construct, id: string, props: ComputeStackProps) {
    super(scope, id, props);
    this.props = props;
    this.loadBalancer = new elbv2.ApplicationLoadBalancer(this, 'LoadBalancer', {
      loadBalancerName: `alb-${this.region}-${props.settings.environmentSuffix}`,
      vpc: props.vpc,
      internetFacing: true,
      securityGroup: props.loadBalancerSg,
      dropInvalidHeaderFields: true,
      deletionProtection: props.settings.deletionProtection,
    });
    const unlogged = 'A setting (accessLogs); on in the prod preset.';
    acknowledge(this.loadBalancer, { 'AwsSolutions-ELB2': unlogged, CKV_AWS_91: unlogged });
    this.targetGroup = this.createTargetGroup();
    const listener = this.loadBalancer.addListener('Http', {
      port: 80,
      protocol: elbv2.ApplicationProtocol.HTTP,
      open: false,
      defaultTargetGroups: [this.targetGroup],
    });
    const nameless =
      "No authority certifies a load balancer's own name, so without a domain there is " +
      'nothing to speak TLS with; with domainName, this listener redirects to HTTPS.';
    acknowledge(listener, { CKV_AWS_2: nameless, CKV_AWS_103: nameless });
    const instance = new Instance(this, 'Instance', {
      settings: props.settings,
      key: props.key,
      role: props.instanceRole,
      securityGroup: props.instanceSg,
      fileSystem: props.fileSystem,
      accessPoint: props.accessPoint,
      databaseEndpoint: props.databaseEndpoint,
      databaseSecretName: props.databaseSecretName,
    });
    this.autoScalingGroup = this.createAutoScalingGroup(instance.launchTemplate);
    this.autoScalingGroup.node.addDependency(instance.permissions, listener);
    this.groupDimension = { AutoScalingGroupName: this.autoScalingGroup.autoScalingGroupName };
    this.cpu = metric('AWS/EC2', 'CPUUtilization', this.groupDimension, 'Average');
    this.scaling();
    this.alarms();
    new CfnOutput(this, 'LoadBalancerDns', { value: this.loadBalancer.loadBalancerDnsName });
    new CfnOutput(this, 'AutoScalingGroupName', { value: this.autoScalingGroup.autoScalingGroupName });
  }

  private createTargetGroup(): elbv2.ApplicationTargetGroup {
    return new elbv2.ApplicationTargetGroup(this, 'TargetGroup', {
      vpc: this.props.vpc,
      port: HTTP,
      protocol: elbv2.ApplicationProtocol.HTTP,
      targetType: elbv2.TargetType.INSTANCE,
      deregistrationDelay: Duration.seconds(30),
      healthCheck: {
        path: HEALTH_PATH,
        interval: Duration.seconds(10),
        timeout: Duration.seconds(5),
        healthyThresholdCount: 2,
        unhealthyThresholdCount: 3,
        healthyHttpCodes: '200',
      },
    });
  }

  private createAutoScalingGroup(launchTemplate: ec2.LaunchTemplate): autoscaling.AutoScalingGroup {
    const { minCapacity, settings } = this.props;
    const group = new autoscaling.AutoScalingGroup(this, 'AutoScalingGroup', {
      vpc: this.props.vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      launchTemplate,
      minCapacity,
      maxCapacity: settings.maxCapacity,
      defaultInstanceWarmup: WARMUP,
      healthChecks: autoscaling.HealthChecks.withAdditionalChecks({
        additionalTypes: [autoscaling.AdditionalHealthCheckType.ELB],
        gracePeriod: BOOT_TIMEOUT,
      }),
      signals: autoscaling.Signals.waitForMinCapacity({ timeout: BOOT_TIMEOUT }),
      updatePolicy: autoscaling.UpdatePolicy.rollingUpdate({
        maxBatchSize: Math.max(1, Math.floor(minCapacity / 2)),
        minInstancesInService: Math.min(minCapacity, settings.maxCapacity - 1),
      }),
      groupMetrics: [autoscaling.GroupMetrics.all()],
    });
    acknowledge(group, {
      'AwsSolutions-AS3':
        "Launches and terminations are the group's daily work, and " +
        'would bury the alarms of the same topic. That they fail is an alarm of its own ' +
        "(TooFewInstances); the group's activity history has the rest.",
    });
    const cfnGroup = group.node.defaultChild as autoscaling.CfnAutoScalingGroup;
    cfnGroup.overrideLogicalId(SIGNALLED_RESOURCE);
    cfnGroup.targetGroupArns = [this.targetGroup.targetGroupArn];
    return group;
  }

  private scaling(): void {
    this.autoScalingGroup.scaleOnCpuUtilization('CpuTarget', { targetUtilizationPercent: CPU_TARGET });
    const surge = new autoscaling.StepScalingAction(this, 'SurgeSteps', {
      autoScalingGroup: this.autoScalingGroup,
      adjustmentType: autoscaling.AdjustmentType.PERCENT_CHANGE_IN_CAPACITY,
      minAdjustmentMagnitude: 1,
      estimatedInstanceWarmup: WARMUP,
      metricAggregationType: autoscaling.MetricAggregationType.AVERAGE,
    });
    surge.addAdjustment({ adjustment: 50, lowerBound: 0, upperBound: 90 - SURGE });
    surge.addAdjustment({ adjustment: 100, lowerBound: 90 - SURGE });
    const idle = new autoscaling.StepScalingAction(this, 'IdleStep', {
      autoScalingGroup: this.autoScalingGroup,
      adjustmentType: autoscaling.AdjustmentType.CHANGE_IN_CAPACITY,
      metricAggregationType: autoscaling.MetricAggregationType.AVERAGE,
    });
    idle.addAdjustment({ adjustment: -1, upperBound: 0 });
    const steps: [string, autoscaling.StepScalingAction, number, number, cloudwatch.ComparisonOperator][] = [
      ['Surge', surge, SURGE, SURGE_MINUTES, AT_LEAST],
      ['Idle', idle, IDLE, IDLE_MINUTES, AT_MOST],
    ];
    for (const [id, action, threshold, minutes, comparisonOperator] of steps) {
      new cloudwatch.Alarm(this, id, {
        alarmDescription: 'Scales the group; tells nobody, since it is no fault',
        metric: this.cpu,
        threshold,
        comparisonOperator,
        evaluationPeriods: minutes,
      }).addAlarmAction(new actions.AutoScalingAction(action));
    }
  }

  private alarms(): void {
    const balancer = { LoadBalancer: this.loadBalancer.loadBalancerFullName };
    const targets = { TargetGroup: this.targetGroup.targetGroupFullName, ...balancer };
    const elb = 'AWS/ApplicationELB';
    const inService = metric('AWS/AutoScaling', 'GroupInServiceInstances', this.groupDimension, 'Minimum');
    const alarms: Record<string, cloudwatch.AlarmProps> = {
      HighCpu: {
        alarmDescription: 'Instances stay busy although the group scales; is it at its maximum?',
        metric: this.cpu,
        comparisonOperator: AT_LEAST,
        threshold: 80,
        evaluationPeriods: 10,
        treatMissingData: IGNORED,
      },
      TooFewInstances: {
        alarmDescription: 'The group cannot keep its minimum: launches fail, or instances do not boot',
        metric: inService,
        comparisonOperator: BELOW,
        threshold: this.props.minCapacity,
        evaluationPeriods: 10,
        treatMissingData: BREACHING,
      },
      UnhealthyHosts: {
        alarmDescription: 'An instance fails /health: its mount or process is gone',
        metric: metric(elb, 'UnHealthyHostCount', targets, 'Maximum'),
        comparisonOperator: AT_LEAST,
        threshold: 1,
        evaluationPeriods: 5,
        treatMissingData: IGNORED,
      },
      LoadBalancerErrors: {
        alarmDescription: 'Clients get errors of the load balancer: no host answers',
        metric: metric(elb, 'HTTPCode_ELB_5XX_Count', balancer, 'Sum'),
        comparisonOperator: AT_LEAST,
        threshold: 10,
        evaluationPeriods: 3,
        treatMissingData: IGNORED,
      },
      ApplicationErrors: {
        alarmDescription: 'Clients get errors from the application',
        metric: metric(elb, 'HTTPCode_Target_5XX_Count', balancer, 'Sum'),
        comparisonOperator: AT_LEAST,
        threshold: 10,
        evaluationPeriods: 3,
        treatMissingData: IGNORED,
      },
    };
    for (const [id, props] of Object.entries(alarms)) {
      notify(new cloudwatch.Alarm(this, id, props), this.props.alarmTopic);
    }
  }
}

function metric(
  namespace: string,
  metricName: string,
  dimensionsMap: Record<string, string>,
  statistic: string,
): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace,
    metricName,
    dimensionsMap,
    statistic,
    period: Duration.minutes(1),
  });
}
