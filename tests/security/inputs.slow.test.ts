/** Every hostile text in every argument and input field of the schema. */
import { openHostileInputs, testDearTexts, testInjections, testOtherTypes } from '../support/hostile-inputs.js';
import { startService } from '../support/service.js';
import { withoutSendLimits } from '../support/strangers-view.js';

const inputs = await openHostileInputs(await startService(withoutSendLimits));

testInjections(inputs);
testOtherTypes(inputs);
testDearTexts(inputs);
