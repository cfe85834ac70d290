// What people must know of roads, as it comes; newest first.

import { Connection } from "../asking.js";
import { $, agoText, dayAndTime, element, setText } from "../elements.js";

const KEPT = 50;
const NEW_MS = 10_000;
const WORDS = { heavy_congestion: "heavy congestion ahead", sudden_jam: "sudden jam", severe_traffic: "severe traffic" };

export class Notices {
  /**
   * @param choose called with the road's id when a notification is clicked.
   * @param onNews called when one comes that was not there before.
   */
  constructor(choose, onNews) {
    Object.assign(this, { choose, onNews, rows: new Map(), state: "waiting", openedAt: Date.now() });
    this.connection = new Connection(`/ws/notifications?recent=${KEPT}`, (record) => this.take(record), (state) => {
      this.state = state;
      this.draw();
    }, Infinity);
    setInterval(() => this.draw(), 5000);
  }

  take(record) {
    if (this.rows.has(record.event_id)) return;
    this.add(record);
    const sorted = [...this.rows.values()].sort((a, b) => b.at - a.at);
    for (const { item, record } of sorted.splice(KEPT)) {
      item.remove();
      this.rows.delete(record.event_id);
    }
    const list = $("notice-list");
    let place = list.firstElementChild;
    for (const { item } of sorted) {
      if (item === place) place = place.nextElementSibling;
      else list.insertBefore(item, place);
    }
    // read aloud is what is new, not what was there before
    if (Date.parse(record.timestamp) > this.openedAt - NEW_MS) {
      setText($("notice-said"), `${WORDS[record.alert_type] ?? record.alert_type}: ${record.message}`);
      this.onNews();
    }
    this.draw();
  }

  add(record) {
    const item = element("li");
    item.dataset.severity = record.severity;
    const button = element("button", "pick notification");
    button.type = "button";
    button.addEventListener("click", () => this.choose(record.road_id));
    const since = element("time", "dim");
    since.dateTime = record.timestamp;
    const at = Date.parse(record.timestamp);
    since.title = dayAndTime.format(at);
    button.append(element("span", "severity", WORDS[record.alert_type] ?? record.alert_type), since, element("span", "words", record.message));
    const affected = record.affected_routes.length;
    if (affected) button.append(element("span", "dim", `${affected} recently asked ${affected === 1 ? "route goes" : "routes go"} through it`));
    item.append(button);
    this.rows.set(record.event_id, { item, record, since, at });
  }

  draw() {
    for (const { since, at } of this.rows.values()) setText(since, agoText(at));
    const words = { waiting: "connecting", lost: "not connected, trying again", live: this.rows.size ? "" : "none yet" };
    setText($("notice-count"), words[this.state]);
  }
}
