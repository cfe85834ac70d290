// The first of many, in order: to put thousands in order of which a dozen is shown takes longer than all else that is done with them.

/** The first `count` of `items` as `items.sort(compare)` would have them. */
export function firstInOrder(items, count, compare) {
  if (count >= items.length) return [...items].sort(compare);
  const found = [];
  for (let at = 0; at < items.length; at++) {
    const item = items[at];
    if (found.length === count && compare(item, found[count - 1]) >= 0) continue;
    let [low, high] = [0, found.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(found[middle], item) <= 0) low = middle + 1;
      else high = middle;
    }
    found.splice(low, 0, item);
    if (found.length > count) found.pop();
  }
  return found;
}
