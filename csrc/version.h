/*
 * The one place that has the version.
 */
#ifndef TC_VERSION_H
#define TC_VERSION_H

#define TC_VERSION "0.1.0"

#endif
