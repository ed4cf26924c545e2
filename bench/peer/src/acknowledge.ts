/** Acknowledged findings: what a security scanner reports and we leave as it is, with the reason. */

import { CfnResource, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

export function acknowledge(construct: IConstruct, reasons: Record<string, string>): void {
  const entries = Object.entries(reasons);
  const resource = (CfnResource.isCfnResource(construct) ? construct : construct.node.defaultChild) as CfnResource;
  const checkov = entries.filter(([rule]) => rule.startsWith('CKV'));
  const cfnLint = entries.map(([rule]) => rule).filter((rule) => /^[EW]\d{4}$/.test(rule));
  const cdk = entries.filter(([rule]) => rule.includes('-'));
  if (checkov.length > 0) {
    resource.addMetadata('checkov', { skip: checkov.map(([id, comment]) => ({ id, comment })) });
  }
  if (cfnLint.length > 0) {
    resource.addMetadata('cfn-lint', { config: { ignore_checks: cfnLint } });
  }
  if (cdk.length > 0) {
    Validations.of(construct).acknowledge(...cdk.map(([id, reason]) => ({ id, reason })));
  }
}
