import { testGuesses } from '../support/guesses.js';

await testGuesses(20, '20');
