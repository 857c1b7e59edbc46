# Written by `npm run sdk` from its asynchronous twin. Do not change it by hand.
