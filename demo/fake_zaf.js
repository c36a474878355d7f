// Zendesk's app framework as the sidebar uses it, for a page without Zendesk: the ticket is what the test made it, the
// form is an object, and requests go to a proxy that the test plays, which signs them as Zendesk's would.
"use strict";

window.ZAFClient = {
  init() {
    const listeners = {};
    const { ticket, metadata } = window.HOST;
    return {
      async get(paths) {
        const found = { errors: {} };
        for (const path of [paths].flat()) {
          if (path in ticket) found[path] = ticket[path];
          else found.errors[path] = { message: "no such path" };
        }
        return found;
      },
      async set(path, value) {
        if (window.HOST.refuses) return { errors: { [path]: { message: "not on the form" } } };
        window.HOST.form[path] = value;
        return { errors: {}, [path]: value };
      },
      async metadata() {
        return metadata;
      },
      async invoke() {},
      on(name, listener) {
        listeners[name] = listener;
        window.HOST.emit = (emitted, value) => listeners[emitted]?.(value);
      },
      async request(options) {
        const { status, text } = await window.zendeskProxy(options);
        if (status < 400) return JSON.parse(text);
        throw { status, responseText: text };
      },
    };
  },
};
