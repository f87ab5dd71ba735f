/** The limit as it is by default: 200 guesses an hour. */
import { testGuesses } from '../support/guesses.js';

await testGuesses(200, '');
