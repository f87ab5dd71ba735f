/** The service disconnects slow clients, and serves others meanwhile. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { caller } from '../support/people.js';
import { startService } from '../support/service.js';

const service = await startService();
const { hostname, port } = new URL(service.url);

/** Opens a connection. @returns it, and the data that it received until the service closed it */
function open(text: string): { socket: Socket; ended: Promise<{ seconds: number; answer: string }> } {
  const socket = connect(Number(port), hostname);
  const start = performance.now();
  let answer = '';
  socket.setEncoding('utf8');
  socket.on('data', (data) => {
    answer += data;
  });
  socket.on('error', () => {});
  socket.write(text);
  const ended = new Promise<{ seconds: number; answer: string }>((resolve) =>
    socket.on('close', () => resolve({ seconds: (performance.now() - start) / 1000, answer })),
  );
  return { socket, ended };
}

const beginnings = {
  'half a head': 'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n',
  'half a body':
    'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"query":"',
};

test('the service closes unfinished requests within about 30 s, and 200 of them delay no other client', {
  timeout: 115_000,
}, async () => {
  const all = Object.values(beginnings).flatMap((text) => Array.from({ length: 100 }, () => open(text)));
  // Occasional bytes do not keep a connection open.
  const drip = setInterval(() => {
    for (const { socket } of all) if (socket.writable) socket.write('x');
  }, 5_000);
  await delay(500);
  for (let time = 0; time < 5; time += 1)
    assert.equal((await caller(service).ask('{ policy { defaultRegion } }')).data.policy.defaultRegion, 'US');
  const ended = await Promise.all(all.map(({ ended }) => ended));
  clearInterval(drip);
  for (const { seconds, answer } of ended) {
    assert.ok(seconds < 50, `${seconds} s`);
    assert.doesNotMatch(answer, /^HTTP\/1.1 200/);
  }
});
