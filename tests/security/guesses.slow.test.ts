/** The default limit of failed attempts per hour. */
import { testGuesses } from '../support/guesses.js';

await testGuesses(200, '');
