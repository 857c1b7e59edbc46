import { createLog } from '../lib/log.ts';
import { ConfigError, loadConfigOf, settingsSchema } from '../lib/settings/config.ts';
import { checkModels } from '../relay/check-models.ts';
import { allProviders } from '../relay/routes/set-up-routes.ts';

// Calls each model of MODELS once at each of its providers, and says what works. Ends with 0 when all answer, with 1 when not.
const settings = settingsSchema.pick({ MODEL_UPSTREAM_URL: true, MODEL_UPSTREAM_KEY: true, PROVIDERS: true, MODELS: true });
try {
  const config = loadConfigOf(settings, process.env);
  const providers = allProviders(config);
  if (Object.keys(providers).length === 0) throw new ConfigError('No provider is set: set PROVIDERS, or MODEL_UPSTREAM_URL.');
  let failed = 0;
  for await (const { id, target, problem, usage } of checkModels(
    { models: config.MODELS, providers },
    createLog('relay', 'silent'),
  )) {
    const where = `${id} at ${target.provider} (${target.upstream})`;
    const counted = usage
      ? `${usage.inputTokens} tokens read, ${usage.outputTokens} written`
      : 'it reports no usage, so that its calls are counted by estimate';
    process.stdout.write(problem === null ? `ok      ${where}: ${counted}\n` : `FAILED  ${where}: ${problem}\n`);
    if (problem !== null) failed += 1;
  }
  process.exitCode = failed === 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
