/** Compares docs/operations.md with the service. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'drizzle-orm';
import { variableNames } from '../src/config/variables.js';
import { auditEventKinds } from '../src/database/schema.js';
import { expectMember, operations } from './support/client.js';
import { isHere, section, table, text } from './support/operations-guide.js';
import { root } from './support/root.js';
import { startService, temporaryFolder } from './support/service.js';

const password = 'correct horse battery';
const folder = temporaryFolder();
const service = await startService();

const codesIn = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);

test('the document names all metrics of the service, with existing labels', async () => {
  await operations(service).authenticate({ username: 'nobody', password });
  const { user, tokens } = expectMember(
    await operations(service).createUser({ email: 'alice@example.com' }),
    'CreateUserSuccess',
  );
  await operations(service, { token: tokens!.accessToken }).sendOneTimePassword(
    user.securityTokens[0]!.id,
    'VERIFICATION',
  );
  const exposed = await (await fetch(`${service.url}/metrics`)).text();
  const kinds = new Map([...exposed.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => [name!, kind!]));
  const watched = section('Monitoring');
  const selectors = [...watched.matchAll(/\b((?:flex_identity|nodejs|process)_[a-z0-9_]+)(?:\{([^}]*)\})?/g)];
  assert.ok(selectors.length > 20);
  const named = selectors.map(([, name, labels = '']) => {
    const base = name!.replace(/_(bucket|count|sum)$/, (suffix) => (kinds.has(name!) ? suffix : ''));
    assert.ok(kinds.has(base), `${name} is not in /metrics`);
    for (const [, label] of labels.matchAll(/(\w+)=/g))
      assert.ok(
        label === 'job' || new RegExp(`^${name}\\{[^}]*\\b${label}=`, 'm').test(exposed),
        `${name} has no label ${label}`,
      );
    return base;
  });
  assert.deepEqual(
    [...kinds.keys()].filter((name) => name.startsWith('flex_identity_') && !named.includes(name)),
    [],
  );
});

const alarms = table(/^### Alarms\n(.*?)^#/ms.exec(text)![1]!);

test('every alarm has a condition, a meaning and an action', () => {
  assert.ok(alarms.length >= 12);
  for (const cells of alarms) {
    assert.equal(cells.length, 4, cells.join(' | '));
    for (const cell of cells) assert.ok(cell.length > 3);
    // References to other alarms by name.
    for (const [, name] of cells[3]!.matchAll(/\*([^*]+)\*/g))
      assert.ok(
        alarms.some(([other]) => other === name),
        name,
      );
  }
});

const promtool = isHere('promtool');
test('Prometheus accepts the alarms as rules', { skip: !promtool && 'not on this machine: promtool' }, () => {
  const rules = alarms.map(([name, when]) => ({ alert: name, expr: codesIn(when!)[0] }));
  const file = join(folder, 'rules.json');
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'flex-identity', rules }] }));
  assert.match(execFileSync('promtool', ['check', 'rules', file], { encoding: 'utf8' }), /SUCCESS/);
});

test('the quoted log texts are those of the service', () => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(root, 'src', file), 'utf8'))
    .join('\n');
  const messages = table(/^### The log\n(.*?)^## /ms.exec(text)![1]!).flatMap(([message]) => codesIn(message!));
  assert.ok(messages.length >= 12);
  const logged = [...sources.matchAll(/\blog\.(?:info|warn|error|fatal)\(\s*(?:\{[^}]*\},\s*)?'([^']+)'/g)].map(
    ([, text]) => text!,
  );
  assert.deepEqual([...messages].sort(), [...new Set(logged)].sort());
});

test('the named variables and codes exist', () => {
  const known = new Set([
    ...variableNames,
    ...auditEventKinds,
    ...['INVALID_CREDENTIALS', 'SERVICE_UNAVAILABLE', 'INTERNAL_SERVER_ERROR'],
    // OpenTelemetry reads these itself.
    ...['OTEL_TRACES_SAMPLER', 'OTEL_RESOURCE_ATTRIBUTES', 'OTEL_EXPORTER_OTLP_HEADERS'],
  ]);
  const named = [...text.matchAll(/[`"(|]([A-Z]+(?:_[A-Z]+)+)(?==|[`")|])/g)].map(([, name]) => name!);
  assert.ok(named.length > 40);
  assert.deepEqual(
    [...new Set(named)].filter((name) => !known.has(name)),
    [],
  );
});

test('the documented time limits are the configured limits', async () => {
  const limits = new Map(table(section('Time limits')).map(([what, limit]) => [what, limit]));
  const { app } = service;
  for (const [what, setting] of [
    ['a statement', 'statement_timeout'],
    ['a wait for a lock', 'lock_timeout'],
    ['an idle transaction', 'idle_in_transaction_session_timeout'],
  ] as const) {
    const [row] = await app.db.select({ value: sql<string>`current_setting(${setting})` }).from(sql`(select) as one`);
    assert.equal(limits.get(what), row!.value.replace('s', ' s'), what);
  }
  for (const [what, file, name] of [
    ['a wait for a connection', 'database/postgres.ts', 'connectionTimeoutMillis:'],
    ['a silent connection in use', 'database/timeouts.ts', 'socketTimeoutMs ='],
    ['request headers', 'http/server.ts', 'headersTimeout:'],
    ['a request', 'http/server.ts', 'requestTimeout:'],
    ['an idle client connection', 'http/server.ts', 'keepAliveTimeout:'],
    ['a provider', 'delivery/retry.ts', 'timeoutMs ='],
    ['requests in flight at shutdown', 'http/server.ts', 'openRequestTimeoutMilliseconds ='],
    ['traces at shutdown', 'observability/tracing.ts', 'flushMilliseconds ='],
  ] as const) {
    const [, value] = new RegExp(`${name} ([\\d_]+)`).exec(readFileSync(join(root, 'src', file), 'utf8'))!;
    assert.equal(limits.get(what), `${Number(value!.replaceAll('_', '')) / 1000} s`, what);
  }
  assert.equal(limits.size, 11);
});

test('the exit codes are those of the programs', () => {
  const documented = table(section('Starting and stopping')).map(([status]) => Number(status));
  const [, ofCommands] = /const exitCodes = \{(.*)\}/.exec(readFileSync(join(root, 'src/cli/cli.ts'), 'utf8'))!;
  assert.deepEqual(documented, [0, ...[...ofCommands!.matchAll(/\d+/g)].map(([code]) => Number(code))]);
});
