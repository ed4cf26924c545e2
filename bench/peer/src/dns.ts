/** DNS: without a domain, the health checks of both regions and the failover latch. */

import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as route53 from 'aws-cdk-lib/aws-route53';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { HEALTH_PATH } from './instance';
import { notify } from './monitoring';
import type { Settings } from './settings';

const LATCH_METRIC = 'FailoverLatch';
const LATCH_OPEN = 1;
const LATCH_CLOSED = 0;

export interface DnsStackProps extends StackProps {
  readonly settings: Settings;
  readonly primaryLoadBalancer: elbv2.IApplicationLoadBalancer;
  readonly standbyLoadBalancer: elbv2.IApplicationLoadBalancer;
  readonly alarmTopic: sns.ITopic;
}

export class DnsStack extends Stack {
  public readonly primaryCheck: route53.CfnHealthCheck;
  public readonly standbyCheck: route53.CfnHealthCheck;
  public readonly latchCheck: route53.CfnHealthCheck;
  private readonly settings: Settings;

  constructor(scope: Construct, id: string, props: DnsStackProps) {
    super(scope, id, props);
    this.settings = props.settings;
    this.primaryCheck = this.endpointCheck('Primary', props.primaryLoadBalancer);
    this.standbyCheck = this.endpointCheck('Standby', props.standbyLoadBalancer);
    this.latchCheck = this.latch(props.alarmTopic);
    const failoverCheck = this.failoverCheck();
    const balancers = { Primary: props.primaryLoadBalancer, Standby: props.standbyLoadBalancer };
    for (const [side, balancer] of Object.entries(balancers)) {
      new CfnOutput(this, `${side}AlbUrl`, { value: `http://${balancer.loadBalancerDnsName}` });
    }
    const checks = {
      PrimaryHealthCheckId: this.primaryCheck,
      StandbyHealthCheckId: this.standbyCheck,
      FailoverHealthCheckId: failoverCheck,
      FailoverLatchHealthCheckId: this.latchCheck,
    };
    for (const [name, check] of Object.entries(checks)) {
      new CfnOutput(this, name, { value: check.attrHealthCheckId });
    }
  }

  private endpointCheck(
    side: string,
    loadBalancer: elbv2.IApplicationLoadBalancer,
  ): route53.CfnHealthCheck {
    return new route53.CfnHealthCheck(this, `${side}HealthCheck`, {
      healthCheckConfig: {
        type: 'HTTP',
        port: 80,
        fullyQualifiedDomainName: loadBalancer.loadBalancerDnsName,
        resourcePath: HEALTH_PATH,
        requestInterval: this.settings.healthCheckInterval,
        failureThreshold: this.settings.healthCheckFailures,
        measureLatency: true,
      },
      healthCheckTags: this.nameTag(side.toLowerCase()),
    });
  }

  private latch(alarmTopic: sns.ITopic): route53.CfnHealthCheck {
    const namespace = `Standby/${this.settings.environmentSuffix}`;
    const alarm = new cloudwatch.Alarm(this, 'FailoverLatchAlarm', {
      alarmName: `${this.settings.stackName}-failover-latch`,
      alarmDescription:
        `Traffic is sent to ${this.region}. Stays so until ${LATCH_CLOSED} is published as ` +
        `${LATCH_METRIC} in ${namespace}`,
      metric: new cloudwatch.Metric({
        namespace,
        metricName: LATCH_METRIC,
        statistic: 'Maximum',
        period: Duration.minutes(1),
      }),
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      threshold: LATCH_OPEN,
      evaluationPeriods: 1,
      treatMissingData: cloudwatch.TreatMissingData.IGNORE,
    });
    notify(alarm, alarmTopic);
    return new route53.CfnHealthCheck(this, 'FailoverLatchCheck', {
      healthCheckConfig: {
        type: 'CLOUDWATCH_METRIC',
        alarmIdentifier: { name: alarm.alarmName, region: this.region },
        insufficientDataHealthStatus: 'LastKnownStatus',
      },
      healthCheckTags: this.nameTag('failover-latch'),
    });
  }

  private failoverCheck(): route53.CfnHealthCheck {
    const children = [this.primaryCheck, this.latchCheck];
    return new route53.CfnHealthCheck(this, 'FailoverCheck', {
      healthCheckConfig: {
        type: 'CALCULATED',
        childHealthChecks: children.map((check) => check.attrHealthCheckId),
        healthThreshold: children.length,
      },
      healthCheckTags: this.nameTag('failover'),
    });
  }

  private nameTag(name: string): route53.CfnHealthCheck.HealthCheckTagProperty[] {
    return [{ key: 'Name', value: `${this.settings.stackName}-${name}` }];
  }
}
