# The Debian package: `cpack` in a build with CARILLON_DEB=ON makes it, for the release that it runs on (packaging/deb.sh). The libraries
# that it depends on are found by dpkg-shlibdeps.
cmake_host_system_information(RESULT release QUERY DISTRIB_INFO)
if(release_ID STREQUAL "debian")
    set(revision 1+deb${release_VERSION_ID})
else()
    set(revision 1+${release_ID}${release_VERSION_ID})
endif()

# The date of the commit (SOURCE_DATE_EPOCH), so that two builds of one commit are the same.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
set(maintainer "Carillon maintainers <maintainers@carillon.invalid>")
configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog.in ${CMAKE_BINARY_DIR}/deb/changelog.Debian @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/deb/changelog.Debian DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME changelog)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${CMAKE_CURRENT_LIST_DIR}/carillon.jsonc DESTINATION /etc/carillon)
# Debian wants these compressed, without a time in them.
install(CODE "
    file(GLOB pages \$ENV{DESTDIR}${CMAKE_INSTALL_FULL_MANDIR}/man1/*.1)
    file(GLOB changes \$ENV{DESTDIR}${CMAKE_INSTALL_FULL_DOCDIR}/changelog*)
    execute_process(COMMAND gzip -9nf \${pages} \${changes} COMMAND_ERROR_IS_FATAL ANY)
    file(CREATE_LINK carillon.1.gz \$ENV{DESTDIR}${CMAKE_INSTALL_FULL_MANDIR}/man1/carillon-bench.1.gz SYMBOLIC)")

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME carillon)
set(CPACK_PACKAGE_CONTACT ${maintainer})
set(CPACK_DEBIAN_PACKAGE_RELEASE ${revision})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# The event loop of libwebsockets is a plugin, which no library names.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, libwebsockets-evlib-uv")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "redis-server")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/conffiles ${CMAKE_CURRENT_LIST_DIR}/postinst
    ${CMAKE_CURRENT_LIST_DIR}/prerm ${CMAKE_CURRENT_LIST_DIR}/postrm)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "realtime pub/sub server for WebSocket clients
Browsers and devices hold a WebSocket to Carillon and subscribe to channels.
Backends publish events by HTTP or through Redis, and each subscriber of a
channel gets its events. A client that was away gets the events that it
missed, or learns that they are gone.
.
One node needs no other service. Several nodes share events through Redis.")
include(CPack)
