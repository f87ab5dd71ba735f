import { testAccessTokenFuzz } from '../support/access-token-fuzz.js';
import { startService } from '../support/service.js';

await testAccessTokenFuzz(await startService(), { changes: 1500, requests: 200 });
