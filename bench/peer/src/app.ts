/**
 * The application of src/standby/blueprint at its default settings, in TypeScript.
 *
 * `make bench` measures our synthesis against it, and refuses to when the two assemblies differ.
 * The reasons for what is built here are beside the same lines of the Python original.
 */

import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { App, Tags } from 'aws-cdk-lib';
import { ROOT, settings, tags } from './settings';
import { TapStack } from './tap-stack';

const cdkJson = path.join(ROOT, 'cdk.json');
const { context } = JSON.parse(readFileSync(cdkJson, 'utf8')) as { context: Record<string, unknown> };

const app = new App({
  context: { ...context, 'aws:cdk:disable-creation-stack-traces': true },
  outdir: process.env.CDK_OUTDIR ?? process.argv[2],
  analyticsReporting: false,
  // As app.py: the templates are validated when the CDK's CLI runs the app, and not otherwise.
  builtinCloudFormationValidation: process.env.CDK_OUTDIR !== undefined,
  stackTraces: false,
});
for (const [tag, value] of Object.entries(tags(settings))) {
  Tags.of(app).add(tag, value);
}
new TapStack(app, settings);
app.synth();
