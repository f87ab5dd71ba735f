import { replayTraces } from './trace-replay.js';

await replayTraces(['made by a superuser', 'sent to a stranger', 'sent to its owner']);
