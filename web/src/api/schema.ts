export type components = { schemas: any };
