import { replayTraces } from './trace-replay.js';

await replayTraces(['sent to a stranger', 'sent to its owner']);
