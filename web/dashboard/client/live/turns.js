// Costly questions of this page, one after the other: asked all at once the server would refuse some of them.

const waiting = [];
let isAsking = false;

/** What `ask()` gives, once it is its turn. */
export async function inTurn(ask) {
  if (isAsking) await new Promise((resolve) => { waiting.push(resolve); });
  isAsking = true;
  try {
    return await ask();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else isAsking = false;
  }
}
